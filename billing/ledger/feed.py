"""Redis as the recorder sees it: streams to read on, marks to leave, and what a shard says of itself.

All reads of a round go in one non-transactional pipeline and none blocks: a blocking read over two slots is an error
on a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enforcement.control_calls import mark_recorded_call
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.keys import dead_letters_key, shard_key, usage_key


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream."""

    stream_id: str
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class ShardState:
    """What a shard says of its stream and of how far it knows itself recorded."""

    epoch: int
    recorded_seq: int
    last_event_seq: int
    is_overloaded: bool
    stream_entries: int

    @property
    def backlog_entries(self) -> int:
        """At most how many entries wait for the ledger. Positions grow faster than the stream, so both bound it."""
        return max(0, min(self.last_event_seq - self.recorded_seq, self.stream_entries))


class Feed:
    """The usage and dead-letter streams. Raises (all methods): EnforcementUnavailable."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def read(self, after: Mapping[int, str], *, entries_max: int) -> dict[int, list[Entry]]:
        """Read what follows each shard's position in its usage stream; shards without news are left out."""
        return self._read({shard: (usage_key(shard), at) for shard, at in after.items()}, entries_max)

    def read_dead(self, after: Mapping[int, str], *, entries_max: int) -> dict[int, list[Entry]]:
        """Read what follows each shard's position in its dead-letter stream."""
        return self._read({shard: (dead_letters_key(shard), at) for shard, at in after.items()}, entries_max)

    def missing(self, marks: Mapping[int, tuple[str, str]]) -> dict[int, tuple[bool, bool]]:
        """Say of each shard's last recorded entries (usage, dead) whether they are missing from their streams.

        A stream that was replaced or restored lacks the entry; one that was trimmed to nothing does too, and is short.
        """
        usage = self._pipe(("XRANGE", usage_key(shard), at, at) for shard, (at, _) in marks.items())
        dead = self._pipe(("XRANGE", dead_letters_key(shard), at, at) for shard, (_, at) in marks.items())
        return {
            shard: (not usage_found, not dead_found)
            for shard, usage_found, dead_found in zip(marks, usage, dead, strict=True)
        }

    def mark_recorded(self, marks: Mapping[int, tuple[int, int]]) -> None:
        """Tell shards how far (epoch, seq) the ledger has committed; never backwards, never for another epoch."""
        calls = [mark_recorded_call(shard, epoch=epoch, seq=seq) for shard, (epoch, seq) in marks.items()]
        self._client.run_many(calls)

    def states(self, shards: Sequence[int]) -> dict[int, ShardState]:
        """Read what shards say of themselves."""
        names = ("epoch", "recorded", "last_event_seq", "overloaded")
        records = self._pipe(("HMGET", shard_key(shard), *names) for shard in shards)
        lengths = self._pipe(("XLEN", usage_key(shard)) for shard in shards)
        return {
            shard: ShardState(
                int(epoch or 0), int(recorded or 0), int(last or 0), overloaded is not None, int(length)
            )
            for shard, (epoch, recorded, last, overloaded), length in zip(
                shards, records, lengths, strict=True
            )
        }

    def set_overloaded(self, reasons: Mapping[int, str]) -> None:
        """Stop admission on shards (a reason), or allow it again (empty)."""
        self._pipe(
            ("HSET", shard_key(shard), "overloaded", reason)
            if reason
            else ("HDEL", shard_key(shard), "overloaded")
            for shard, reason in reasons.items()
        )

    def memory_percent(self) -> int:
        """How full the fullest primary is; 0 where no bound is set."""
        with unavailable_on_failure():
            found = self._client.redis.info("memory")
        nodes = found.values() if self._client.is_cluster else [found]
        return max(
            int(node["used_memory"]) * 100 // int(node["maxmemory"]) if int(node.get("maxmemory", 0)) else 0
            for node in nodes
        )

    def trim(self, below: Mapping[int, tuple[str, str]]) -> int:
        """Cut usage and dead-letter streams below the ids given; returns how many entries went."""
        usage = [("XTRIM", usage_key(shard), "MINID", ids[0]) for shard, ids in below.items()]
        dead = [("XTRIM", dead_letters_key(shard), "MINID", ids[1]) for shard, ids in below.items()]
        return sum(self._pipe([*usage, *dead]))

    def now_ms(self) -> int:
        """Redis's clock, which stream ids are made of."""
        with unavailable_on_failure():
            seconds, micros = self._client.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _read(self, streams: Mapping[int, tuple[str, str]], entries_max: int) -> dict[int, list[Entry]]:
        if not streams:
            return {}
        if self._client.is_cluster:
            replies = self._pipe(
                ("XRANGE", key, f"({at}", "+", "COUNT", entries_max) for key, at in streams.values()
            )
            found = dict(zip(streams, replies, strict=True))
        else:
            keys, positions = zip(*streams.values(), strict=True)
            [reply] = self._pipe([("XREAD", "COUNT", entries_max, "STREAMS", *keys, *positions)])
            by_key = dict(reply.items() if isinstance(reply, dict) else reply or ())
            found = {shard: by_key.get(key.encode(), ()) for shard, (key, _) in streams.items()}
        return {
            shard: [Entry(stream_id.decode(), fields) for stream_id, fields in entries]
            for shard, entries in found.items()
            if entries
        }

    def _pipe(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        with unavailable_on_failure():
            pipeline = self._client.redis.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            found: list[Any] = pipeline.execute()
        return found
