"""Rebuilding shards whose data is not what we knew: closed, then adopting, then open.

Every step may be repeated and may be done by another process than the one before, so a keeper that dies half-way is
simply followed by the next. What the books say comes through a ``DataSource``: enforcement knows no database.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from enforcement.control_calls import BudgetLoad, ControlCall, EndedHold, RecorderMark
from enforcement.control_client import ControlClient
from enforcement.keys import Scope
from enforcement.rebuild_steps import (
    begin,
    bury_expired,
    carry,
    complete_indexes,
    load,
    open_shards,
    publish,
    retire,
)
from enforcement.shard_records import Reason, ShardRecord, read_records, reason_to_rebuild

log = logging.getLogger(__name__)


class DataSource(Protocol):
    """What a rebuild asks of the database."""

    def marks(self, shards: Sequence[int]) -> Mapping[int, RecorderMark]:
        """How far each shard is recorded, or which epoch its recorder has seen; others may be left out."""
        ...

    def shards_left_behind(self, epochs: Mapping[int, int]) -> set[int]:
        """Shards whose recorder may still commit what it read before the epoch given."""
        ...

    def published(self, shards: Sequence[int]) -> Iterable[ControlCall]:
        """The calls that publish every key, customer, tenant and default budget of these shards."""
        ...

    def scopes(self, shards: Sequence[int]) -> Iterable[Scope]:
        """Every tenant and mode of these shards."""
        ...

    def ended(self, hold_ids: Sequence[str]) -> Iterable[EndedHold]:
        """Those of these holds that the ledger has rows for."""
        ...

    def expired_lately(self, shards: Sequence[int]) -> Iterable[EndedHold]:
        """Holds that expired within the retention of a tombstone, so that a late end corrects them."""
        ...

    def budgets(self, shards: Sequence[int]) -> tuple[Mapping[int, RecorderMark], Iterable[BudgetLoad]]:
        """Every budget with the ledger's sums, and the marks: these are read first, so that no sum is behind them."""
        ...

    def budgets_named(
        self, names: Sequence[tuple[Scope, str]]
    ) -> tuple[Mapping[int, RecorderMark], Iterable[BudgetLoad]]:
        """The budgets named, likewise; one that nobody knows is left out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a rebuild waits for proxies, and how long a hold that nobody adopted stands."""

    adopt_ms: int  # twice the interval at which proxies renew
    carried_lease_ms: int


@dataclass(frozen=True, slots=True)
class ClosedShard:
    """A shard that is not the one we knew, and why."""

    record: ShardRecord
    mark: RecorderMark
    reason: Reason


@dataclass(slots=True)
class Look:
    """Shards as they stand: those that are closed, and the epochs of those that are open."""

    closed: list[ClosedShard] = field(default_factory=list)
    open_epochs: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """What one pass over the shards did."""

    begun: list[int] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)


class Rebuilder:
    """Takes closed shards as far towards open as they can go now; call it again for the rest.

    The caller holds the lock of every shard it hands over. Raises: EnforcementUnavailable.
    """

    def __init__(self, client: ControlClient, source: DataSource, patience: Patience) -> None:
        self._client = client
        self._source = source
        self._patience = patience
        self._published: dict[int, int] = {}  # shard -> the epoch its documents were published in

    def look(self, shards: Sequence[int]) -> Look:
        """Read how shards stand and which of them are not the ones we knew."""
        # Marks first: a mark read later may be past what a healthy shard's record said before.
        marks = self._source.marks(shards)
        look = Look()
        for record in read_records(self._client, shards):
            mark = marks.get(record.shard, RecorderMark())
            reason = reason_to_rebuild(record, mark)
            if reason is None:
                look.open_epochs[record.shard] = record.epoch
            else:
                look.closed.append(ClosedShard(record, mark, reason))
        return look

    def advance(self, closed: Sequence[ClosedShard], *, now_ms: int) -> Progress:
        """Do all that can be done now for shards that must be rebuilt. ``now_ms`` is of Redis's clock."""
        progress = Progress()
        epochs: dict[int, int] = {}
        ready: dict[int, int] = {}
        for record, epoch in self._begin(closed):
            epochs[record.shard] = epoch
            is_new = epoch != record.epoch
            if is_new:
                progress.begun.append(record.shard)
            # A first life has nobody to wait for.
            if epoch == 1 or (not is_new and now_ms >= record.began_ms + self._patience.adopt_ms):
                ready[record.shard] = epoch
        # At once: what a proxy brings back first could be ended before the rest is done.
        bury_expired(self._client, self._source, {shard: epochs[shard] for shard in progress.begun})
        self._publish(epochs)
        self._finish(ready, progress)
        progress.waiting = [shard for shard in epochs if shard not in progress.opened]
        return progress

    def _begin(self, closed: Sequence[ClosedShard]) -> list[tuple[ShardRecord, int]]:
        under_way, to_begin = [], []
        for shard in closed:
            record = shard.record
            if shard.reason == "unfinished":
                under_way.append((record, record.epoch))
                continue
            to_begin.append((record, max(record.epoch, shard.mark.epoch) + 1))
        reasons = Counter(shard.reason for shard in closed if shard.reason != "unfinished")
        if reasons:
            log.warning("shard closed", extra={"shards": reasons.total(), "reasons": dict(reasons)})
        return under_way + begin(self._client, to_begin)

    def _publish(self, epochs: Mapping[int, int]) -> None:
        due = {shard: epoch for shard, epoch in epochs.items() if self._published.get(shard) != epoch}
        if not due:
            return
        shards = list(due)
        done = publish(self._client, self._source.published(shards), due)
        done &= complete_indexes(self._client, self._source.scopes(shards), due)
        retire(self._client, {shard: epoch for shard, epoch in due.items() if shard in done and epoch > 1})
        self._published.update({shard: due[shard] for shard in done})

    def _finish(self, ready: Mapping[int, int], progress: Progress) -> None:
        due = {shard: epoch for shard, epoch in ready.items() if self._published.get(shard) == epoch}
        # A first life has nothing to carry.
        later = {shard: epoch for shard, epoch in due.items() if epoch > 1}
        behind = self._source.shards_left_behind(later) if later else set()
        later = {shard: epoch for shard, epoch in later.items() if shard not in behind}
        carried = carry(self._client, self._source, later, lease_ms=self._patience.carried_lease_ms)
        due = {shard: epoch for shard, epoch in due.items() if epoch == 1 or shard in carried}
        if not due:
            return
        marks, loads = self._source.budgets(list(due))
        loaded = load(self._client, loads, marks, due)
        progress.opened = open_shards(self._client, {shard: due[shard] for shard in loaded})
        rebuilt = {shard: due[shard] for shard in progress.opened if due[shard] > 1}
        if rebuilt:
            log.warning("shard rebuilt", extra={"shards": len(rebuilt), "epochs": rebuilt})
