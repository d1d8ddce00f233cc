"""Budgets that are wanted, by a reserve or by the control plane: loaded from the ledger while traffic flows.

The record opens at the shard's present position, and nothing is granted on it meanwhile. When the ledger has been
summed past that position, its sum is put, unless an end touched the budget since: then it is opened once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from enforcement.control_calls import (
    BudgetLoad,
    RecorderMark,
    begin_load_call,
    load_call,
    unload_call,
    wanted_field,
)
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.keys import Mode, Scope, wanted_key
from enforcement.rebuild import DataSource

Name = tuple[Scope, str]  # a budget of a tenant and mode


def want_budget(client: ControlClient, scope: Scope, budget_id: str) -> bool:
    """Have a budget loaded from the ledger, from the shard's present position on; True when it is loaded already.

    Raises: ShardClosed, EnforcementUnavailable.
    """
    reply = client.run(begin_load_call(scope, budget_id))
    if reply.status == "known":
        return True
    with unavailable_on_failure():
        client.redis.hset(wanted_key(scope.shard), wanted_field(scope, budget_id), reply.now_ms)
    return False


def unload_budget(client: ControlClient, scope: Scope, budget_id: str) -> bool:
    """Take a budget out of force and have it loaded again; False when it is not loaded as it is.

    Raises: ShardClosed, EnforcementUnavailable.
    """
    return client.run(unload_call(scope, budget_id)).status == "unloaded"


class WantedLoader:
    """Loads wanted budgets of open shards, a step at a time. Raises: EnforcementUnavailable."""

    def __init__(self, client: ControlClient, source: DataSource) -> None:
        self._client = client
        self._source = source

    def advance(self, epochs: Mapping[int, int]) -> int:
        """Do what can be done now on shards in these epochs; returns how many wanted budgets are left."""
        wanted = self._read_wanted(list(epochs))
        if not wanted:
            return 0
        marks, loads = self._source.budgets_named(wanted)
        known = {(load.scope, load.budget_id): load for load in loads}
        self._drop([name for name in wanted if name not in known])
        openings = self._begin(list(known))
        # The sums were read before the records were opened, so they are read again: a sum must not be older.
        marks, loads = self._source.budgets_named(list(openings))
        return len(known) - self._load(list(loads), marks, openings, epochs)

    def _read_wanted(self, shards: Sequence[int]) -> list[Name]:
        with unavailable_on_failure():
            pipeline = self._client.redis.pipeline(transaction=False)
            for shard in shards:
                pipeline.hkeys(wanted_key(shard))
            return [_name_of(field) for fields in pipeline.execute() for field in fields]

    def _drop(self, unknown: Sequence[Name]) -> None:
        with unavailable_on_failure():
            pipeline = self._client.redis.pipeline(transaction=False)
            for scope, budget_id in unknown:
                pipeline.hdel(wanted_key(scope.shard), wanted_field(scope, budget_id))
            pipeline.execute()

    def _begin(self, names: Sequence[Name]) -> dict[Name, int | None]:
        """Open each record; None for one that is loaded by now, which only has to leave the wanted ones."""
        replies = self._client.replies([begin_load_call(scope, budget_id) for scope, budget_id in names])
        return {
            name: reply.rest[0] if reply.status == "opening" else None
            for name, reply in zip(names, replies, strict=True)
            if reply.status != "closed"
        }

    def _load(
        self,
        loads: Sequence[BudgetLoad],
        marks: Mapping[int, RecorderMark],
        openings: Mapping[Name, int | None],
        epochs: Mapping[int, int],
    ) -> int:
        statuses = self._client.statuses(
            [
                load_call(
                    load,
                    marks.get(load.scope.shard, RecorderMark()),
                    epoch=epochs[load.scope.shard],
                    opening=openings[load.scope, load.budget_id],
                )
                for load in loads
            ]
        )
        return sum(status in ("loaded", "known") for status in statuses)


def _name_of(field: bytes) -> Name:
    tenant_id, mode, budget_id = field.decode().split(":", 2)
    return Scope(tenant_id, cast("Mode", mode)), budget_id
