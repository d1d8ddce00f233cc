"""The books in memory: what PostgreSQL would tell a rebuild, fed from the real usage stream as the recorder does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enforcement.calls import parse_draws
from enforcement.control_calls import BudgetLoad, ControlCall, EndedHold, RecorderMark, publish_call
from enforcement.keys import Scope, usage_key
from enforcement.policies import KeyPolicy, encode_policy

Row = dict[str, str]


@dataclass
class LedgerStub:
    scope: Scope
    limits: dict[str, int] = field(default_factory=dict)
    keys: dict[str, tuple[KeyPolicy, int]] = field(default_factory=dict)  # digest -> policy, version
    rows: dict[str, Row] = field(default_factory=dict)  # event id -> row
    mark: RecorderMark = field(default_factory=RecorderMark)
    left_behind: set[int] = field(default_factory=set)

    def record(self, redis: Any) -> int:
        """Record all of the stream, as a recorder that begins at the front; returns how many rows were new."""
        before = len(self.rows)
        for stream_id, fields in redis.xrange(usage_key(self.scope.shard)):
            row = {name.decode(): value.decode() for name, value in fields.items()}
            self.rows.setdefault(row["event_id"], row)
            position = max((self.mark.epoch, self.mark.seq), (int(row["epoch"]), int(row["seq"])))
            self.mark = RecorderMark(*position, stream_id.decode())
        return len(self.rows) - before

    def sums(self, budget_id: str) -> dict[str, int]:
        found: defaultdict[str, int] = defaultdict(int)
        for row in self.rows.values():
            for draw in parse_draws(row["draws"]):
                if draw.budget_id == budget_id:
                    found[draw.window_id] += int(row[draw.measure])
        return dict(found)

    def marks(self, shards: Sequence[int]) -> Mapping[int, RecorderMark]:
        return {self.scope.shard: self.mark}

    def shards_left_behind(self, epochs: Mapping[int, int]) -> set[int]:
        return self.left_behind

    def published(self, shards: Sequence[int]) -> Iterable[ControlCall]:
        for digest, (policy, version) in self.keys.items():
            body = encode_policy(policy)
            yield publish_call(self.scope, self.scope.key_policy(digest), version=version, body=body)

    def scopes(self, shards: Sequence[int]) -> Iterable[Scope]:
        return [self.scope] if self.scope.shard in shards else []

    def ended(self, hold_ids: Sequence[str]) -> Iterable[EndedHold]:
        return [hold for hold in self._ends().values() if hold.hold_id in hold_ids]

    def expired_lately(self, shards: Sequence[int]) -> Iterable[EndedHold]:
        return [hold for hold in self._ends().values() if hold.state == "expired"]

    def budgets(self, shards: Sequence[int]) -> tuple[Mapping[int, RecorderMark], Iterable[BudgetLoad]]:
        return self.budgets_named([(self.scope, budget_id) for budget_id in self.limits])

    def budgets_named(
        self, names: Sequence[tuple[Scope, str]]
    ) -> tuple[Mapping[int, RecorderMark], Iterable[BudgetLoad]]:
        loads = [
            BudgetLoad(scope, budget_id, self.limits[budget_id], 1, tuple(self.sums(budget_id).items()))
            for scope, budget_id in names
            if budget_id in self.limits
        ]
        return self.marks([]), loads

    def _ends(self) -> dict[str, EndedHold]:
        held: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.rows.values():
            held[row["hold_id"]].append(row)
        return {
            hold_id: EndedHold(
                scope=self.scope,
                hold_id=hold_id,
                state="expired" if any(row["kind"] == "expired" for row in rows) else "settled",
                cost_nanousd=sum(int(row["cost"]) for row in rows),
                charge_nanousd=sum(int(row["charge"]) for row in rows),
                draws=parse_draws(rows[0]["draws"]),
                corrections=len(rows) - 1,
            )
            for hold_id, rows in held.items()
        }
