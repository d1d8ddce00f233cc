"""The steps of a rebuild, each over many shards at once and each safe to repeat.

A step returns the shards it is done with. One that is left out was taken to another epoch meanwhile, or has something
new on its stream: the next pass meets it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from enforcement.calls import HOLDS_PER_CALL_MAX
from enforcement.control_calls import (
    BudgetLoad,
    ControlCall,
    RecorderMark,
    begin_rebuild_call,
    bury_call,
    carry_call,
    complete_customers_call,
    forget_call,
    load_call,
    open_call,
    retire_call,
)
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.hold_records import HoldRecord, read_holds
from enforcement.keys import Scope, deadlines_key
from enforcement.shard_records import ShardRecord

if TYPE_CHECKING:
    from enforcement.rebuild import DataSource

_Item = TypeVar("_Item")
Epochs = Mapping[int, int]  # shard -> the epoch it is being rebuilt into

# The records that are published, by name; glob patterns over whole keys.
PUBLISHED_PATTERNS = ("{s[0-9]*}:*:policy:*", "{s[0-9]*}:*:customers", "{s[0-9]*}:*:default_budget")
KEYS_PER_SCAN = 1000
KEYS_PER_CALL_MAX = 500
DONE = frozenset({"published", "older", "complete", "loaded", "known"})


def begin(client: ControlClient, found: Sequence[tuple[ShardRecord, int]]) -> list[tuple[ShardRecord, int]]:
    """Begin each shard's epoch; one that somebody else began meanwhile is left out."""
    calls = [
        begin_rebuild_call(record.shard, found_epoch=record.epoch, epoch=epoch) for record, epoch in found
    ]
    statuses = client.statuses(calls)
    return [pair for pair, status in zip(found, statuses, strict=True) if status == "begun"]


def publish(client: ControlClient, calls: Iterable[ControlCall], epochs: Epochs) -> set[int]:
    """Publish every document of these shards. A record of an older epoch counts as absent, so none survives."""
    return _run_all(client, list(calls), epochs)


def complete_indexes(client: ControlClient, scopes: Iterable[Scope], epochs: Epochs) -> set[int]:
    """Say of each tenant that its customer index is whole."""
    calls = [complete_customers_call(scope, epoch=epochs[scope.shard]) for scope in scopes]
    return _run_all(client, calls, epochs)


def find_incomplete(client: ControlClient, scopes: Sequence[Scope], epochs: Epochs) -> list[Scope]:
    """Those tenants of open shards whose customer index is not whole: they were made since their shard opened."""
    asked = [scope for scope in scopes if scope.shard in epochs]
    with unavailable_on_failure():
        pipeline = client.redis.pipeline(transaction=False)
        for scope in asked:
            pipeline.hget(scope.customers(), "complete")
        found = pipeline.execute()
    return [
        scope
        for scope, complete in zip(asked, found, strict=True)
        if int(complete or 0) != epochs[scope.shard]
    ]


def retire(client: ControlClient, epochs: Epochs) -> int:
    """Delete what an older epoch had published and the database no longer has: a revoked key stays revoked."""
    if not epochs:
        return 0
    keys: defaultdict[int, set[str]] = defaultdict(set)
    with unavailable_on_failure():
        for pattern in PUBLISHED_PATTERNS:
            for found in client.redis.scan_iter(match=pattern, count=KEYS_PER_SCAN):
                key = found.decode()
                shard = int(key[2 : key.index("}")])
                if shard in epochs:
                    keys[shard].add(key)
    calls = [
        retire_call(shard, part, epoch=epochs[shard])
        for shard, found in keys.items()
        for part in _parts(sorted(found), KEYS_PER_CALL_MAX)
    ]
    return sum(reply.rest[0] for reply in client.replies(calls) if reply.status == "retired")


def bury_expired(client: ControlClient, source: DataSource, epochs: Epochs) -> None:
    """Write the tombstones of holds that expired lately, so that a proxy which slept meanwhile corrects its own."""
    if epochs:
        expired = source.expired_lately(list(epochs))
        client.statuses([bury_call(hold, epoch=epochs[hold.scope.shard]) for hold in expired])


def carry(client: ControlClient, source: DataSource, epochs: Epochs, *, lease_ms: int) -> set[int]:
    """Take over the holds that an older epoch left: those the ledger knows are buried, the others will expire."""
    if not epochs:
        return set()
    shards = list(epochs)
    bury_expired(client, source, epochs)
    # Those that were adopted are asked for as well: their end may have been booked without their proxy's knowledge.
    stand = _open_holds(client, shards)
    keyed = {record.ref.hold_id: record.ref.idempotency for records in stand.values() for record in records}
    client.statuses(
        [
            bury_call(hold, epoch=epochs[hold.scope.shard], idempotency_digest=keyed.get(hold.hold_id, ""))
            for hold in source.ended(list(keyed))
        ]
    )
    left = _left_holds(client, epochs)
    calls = [
        carry_call(shard, [record.ref for record in part], epoch=epochs[shard], lease_ms=lease_ms)
        for shard, records in left.items()
        for part in _parts(records, HOLDS_PER_CALL_MAX)
    ]
    client.statuses(calls)
    remaining = _left_holds(client, {shard: epochs[shard] for shard in left})
    return {shard for shard in shards if shard not in remaining}


def load(
    client: ControlClient, loads: Iterable[BudgetLoad], marks: Mapping[int, RecorderMark], epochs: Epochs
) -> set[int]:
    """Load every budget of these shards; a shard with something the ledger has not summed is left for later."""
    calls = [
        load_call(budget, marks.get(budget.scope.shard, RecorderMark()), epoch=epochs[budget.scope.shard])
        for budget in loads
    ]
    return _run_all(client, calls, epochs)


def open_shards(client: ControlClient, epochs: Epochs) -> list[int]:
    """Let calls in again."""
    statuses = client.statuses([open_call(shard, epoch=epoch) for shard, epoch in epochs.items()])
    return [shard for shard, status in zip(epochs, statuses, strict=True) if status == "opened"]


def _left_holds(client: ControlClient, epochs: Epochs) -> dict[int, list[HoldRecord]]:
    """The open holds of an older epoch."""
    left = {
        shard: [record for record in records if record.epoch != epochs[shard]]
        for shard, records in _open_holds(client, list(epochs)).items()
    }
    return {shard: records for shard, records in left.items() if records}


def _open_holds(client: ControlClient, shards: Sequence[int]) -> dict[int, list[HoldRecord]]:
    """All open holds; what stands in the deadlines without being open is taken out."""
    with unavailable_on_failure():
        pipeline = client.redis.pipeline(transaction=False)
        for shard in shards:
            pipeline.zrange(deadlines_key(shard), 0, -1)
        members = pipeline.execute()
    found: dict[int, list[HoldRecord]] = {}
    for shard, hold_keys in zip(shards, members, strict=True):
        records = list(zip(hold_keys, read_holds(client, hold_keys), strict=True)) if hold_keys else []
        dead = [key.decode() for key, record in records if record is None]
        if dead:
            client.statuses([forget_call(shard, part) for part in _parts(dead, KEYS_PER_CALL_MAX)])
        found[shard] = [record for _, record in records if record is not None]
    return found


def _run_all(client: ControlClient, calls: Sequence[ControlCall], epochs: Epochs) -> set[int]:
    statuses = client.statuses(calls)
    unfinished = {call.shard for call, status in zip(calls, statuses, strict=True) if status not in DONE}
    return set(epochs) - unfinished


def _parts(items: Sequence[_Item], most: int) -> list[Sequence[_Item]]:
    return [items[start : start + most] for start in range(0, len(items), most)]
