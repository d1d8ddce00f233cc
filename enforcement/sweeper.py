"""The sweeper: ends holds whose deadline has passed because nobody lives who would renew or end them.

Several may run at once: the script checks each hold's state and deadline again, so a hold ends once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from enforcement.calls import HOLDS_PER_CALL_MAX
from enforcement.control_calls import forget_call
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.errors import ShardClosed
from enforcement.hold_calls import HoldRef, expire_call
from enforcement.hold_records import read_holds
from enforcement.keys import deadlines_key, shard_key


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep of a shard did with the holds it found overdue."""

    overdue: int = 0
    expired: int = 0  # were sent: booked at their quote, unresolved
    released: int = 0  # were never sent
    forgotten: int = 0  # stood in the deadlines but were not open
    waiting: int = 0  # of an older epoch, for the rebuild to carry over, or being changed this moment

    def __add__(self, other: SweepReport) -> SweepReport:
        return SweepReport(
            self.overdue + other.overdue,
            self.expired + other.expired,
            self.released + other.released,
            self.forgotten + other.forgotten,
            self.waiting + other.waiting,
        )


class Sweeper:
    """Sweeps shards over one Redis or cluster. Raises (all methods): EnforcementUnavailable."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def sweep(self, shards: Sequence[int], *, limit: int = HOLDS_PER_CALL_MAX) -> SweepReport:
        """Look at many shards in one round trip and sweep those that have overdue holds; closed ones are left."""
        total = SweepReport()
        for shard, members, epoch in self._find_overdue(shards, limit):
            try:
                total += self._sweep_members(shard, members, epoch)
            except ShardClosed:
                total += SweepReport(overdue=len(members), waiting=len(members))
        return total

    def sweep_shard(self, shard: int, *, limit: int = HOLDS_PER_CALL_MAX) -> SweepReport:
        """Sweep one shard."""
        return self.sweep([shard], limit=limit)

    def count_overdue(self, shards: Sequence[int]) -> int:
        """Count the holds past their deadline that nobody has swept yet."""
        now_ms = self._client.now_ms()
        with unavailable_on_failure():
            pipeline = self._client.redis.pipeline(transaction=False)
            for shard in shards:
                pipeline.zcount(deadlines_key(shard), "-inf", now_ms)
            return sum(pipeline.execute())

    def _find_overdue(self, shards: Sequence[int], limit: int) -> list[tuple[int, list[bytes], int]]:
        now_ms = self._client.now_ms()
        with unavailable_on_failure():
            pipeline = self._client.redis.pipeline(transaction=False)
            for shard in shards:
                pipeline.execute_command(
                    "ZRANGE", deadlines_key(shard), "-inf", now_ms, "BYSCORE", "LIMIT", 0, limit
                )
            found = pipeline.execute()
            overdue = [(shard, members) for shard, members in zip(shards, found, strict=True) if members]
            epochs = [self._client.redis.hget(shard_key(shard), "epoch") for shard, _ in overdue]
        return [
            (shard, members, int(epoch or 0)) for (shard, members), epoch in zip(overdue, epochs, strict=True)
        ]

    def _sweep_members(self, shard: int, members: list[bytes], epoch: int) -> SweepReport:
        records = list(zip(members, read_holds(self._client, members), strict=True))
        refs = [record.ref for _, record in records if record is not None and record.epoch == epoch]
        dead = [member.decode() for member, record in records if record is None]
        outcomes: Counter[str] = Counter()
        for start in range(0, len(refs), HOLDS_PER_CALL_MAX):
            outcomes += self._expire(shard, refs[start : start + HOLDS_PER_CALL_MAX], epoch)
        forgotten = self._client.run(forget_call(shard, dead)).rest[0] if dead else 0
        ended = outcomes["expired"] + outcomes["released"]
        return SweepReport(
            overdue=len(members),
            expired=outcomes["expired"],
            released=outcomes["released"],
            forgotten=forgotten,
            waiting=len(members) - len(dead) - ended,
        )

    def _expire(self, shard: int, refs: Sequence[HoldRef], epoch: int) -> Counter[str]:
        reply = self._client.run_in_life(expire_call(shard, refs), epoch=epoch)
        return Counter(reply.text(place) for place in range(0, len(reply.rest), 2))
