"""How far the ledger is behind, and what could not be booked: the figures that metrics and alarms read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connections

from billing.ledger.feed import Feed


@dataclass(frozen=True, slots=True)
class LagFigures:
    """Of all shards together. ``oldest_ms`` is the age of the oldest event that is not in the ledger yet."""

    backlog_entries: int
    oldest_ms: int
    shards_behind: int
    shards_overloaded: int
    stream_entries: int
    memory_percent: int
    dead_letters: int
    dead_letters_last_day: int


def read_lag(feed: Feed, shards: Sequence[int]) -> LagFigures:
    """Read the figures now. Raises: EnforcementUnavailable."""
    states = feed.states(shards)
    behind = [shard for shard, state in states.items() if state.backlog_entries]
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT shard, stream_id FROM shard_mark WHERE shard = ANY(%s)", [behind])
        marks = dict(cursor.fetchall())
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE at > now() - interval '1 day') FROM dead_letter"
        )
        [(letters, letters_last_day)] = cursor.fetchall()
    waiting = feed.read({shard: marks.get(shard, "0-0") for shard in behind}, entries_max=1)
    born_ms = [int(entries[0].stream_id.partition("-")[0]) for entries in waiting.values()]
    return LagFigures(
        backlog_entries=sum(state.backlog_entries for shard, state in states.items() if shard in waiting),
        oldest_ms=max(0, feed.now_ms() - min(born_ms)) if born_ms else 0,
        shards_behind=len(waiting),
        shards_overloaded=sum(state.is_overloaded for state in states.values()),
        stream_entries=sum(state.stream_entries for state in states.values()),
        memory_percent=feed.memory_percent(),
        dead_letters=letters,
        dead_letters_last_day=letters_last_day,
    )
