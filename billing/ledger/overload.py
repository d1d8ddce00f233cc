"""When admission has to stop, so that what is open can still end: too much unrecorded, or memory too full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from billing.ledger.feed import ShardState


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Above these a shard refuses reserves; it takes them again below nine tenths of them."""

    backlog_entries_max: int = 1_000_000
    memory_percent_max: int = 85


def reasons_to_stop(
    states: Mapping[int, ShardState], memory_percent: int, watermarks: Watermarks
) -> dict[int, str]:
    """Return what must change: a reason for shards that have to stop, empty for those that may go on again."""
    changed: dict[int, str] = {}
    for shard, state in states.items():
        if state.epoch == 0:
            continue  # never opened: there is nothing to admit
        share = 9 if state.is_overloaded else 10
        reason = ""
        if memory_percent * 10 >= watermarks.memory_percent_max * share:
            reason = "redis_memory"
        elif state.backlog_entries * 10 >= watermarks.backlog_entries_max * share:
            reason = "recorder_lag"
        if bool(reason) != state.is_overloaded:
            changed[shard] = reason
    return changed
