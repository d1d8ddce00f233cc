"""Shards as one proxy knows them: runs calls under the epoch in hand, and joins a new epoch with all it remembers."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from enforcement.adoption import adopt_call, parse_replay, replay_call
from enforcement.calls import Call, Reply, parse_reply
from enforcement.errors import OutcomeUnknown, ShardClosed
from enforcement.keys import shard_key
from enforcement.links import Links
from enforcement.open_holds import OpenHold, ShardMemory, Unrecorded, claim_of

log = logging.getLogger(__name__)

CLAIMS_AT_ONCE = 100


class Shards:
    """The shards this process has met.

    Raises (all methods): ShardClosed while a shard is not open to this process; EnforcementUnavailable when Redis is
    away.
    """

    def __init__(self, url: str, open_holds: dict[str, OpenHold], *, timeout_ms: int, lease_ms: int) -> None:
        self.links = Links(url, timeout_ms=timeout_ms)
        self._open = open_holds
        self._lease_ms = lease_ms
        self._memories: dict[int, ShardMemory] = {}
        self._joining: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def unrecorded(self) -> int:
        """How many ends are not known to be rows yet."""
        return sum(len(memory.unrecorded) for memory in self._memories.values())

    @property
    def unrecorded_shards(self) -> list[int]:
        """The shards of those ends."""
        return [shard for shard, memory in self._memories.items() if memory.unrecorded]

    @property
    def oldest_end_s(self) -> float | None:
        """When the oldest of those ends was asked for, by the event loop's clock."""
        ends = (end for memory in self._memories.values() for end in memory.unrecorded)
        return min((end.ending.hold.ended_s for end in ends), default=None)

    def remember(self, shard: int, end: Unrecorded) -> None:
        """Keep an end until its shard's recorder has passed it."""
        self._memories[shard].remember(end)

    async def epoch_of(self, shard: int) -> int:
        """The epoch in hand; a shard met for the first time is asked."""
        memory = self._memories.get(shard)
        if memory is None:
            await self._rejoin(shard)
            memory = self._memories[shard]
        return memory.epoch

    async def open_epoch_of(self, shard: int) -> int:
        """Ask in which epoch a shard is open. While it is rebuilt, what is absent there proves nothing."""
        state = await self._rejoin(shard)
        if state != "open":
            raise ShardClosed(f"shard {shard} is not open: it is being rebuilt")
        return self._memories[shard].epoch

    async def run(self, call: Call) -> Reply:
        """Run a script; a shard that is found in a new epoch is joined first, and the call repeated once."""
        epoch = await self.epoch_of(call.shard)
        try:
            return await self._run_under(call, epoch)
        except ShardClosed:
            await self._rejoin(call.shard)
            if self._memories[call.shard].epoch == epoch:
                raise
        return await self._run_under(call, self._memories[call.shard].epoch)

    async def run_repeatable(self, call: Call) -> Reply:
        """Run a script that changes nothing twice; when no reply comes, it is asked once more."""
        try:
            return await self.run(call)
        except OutcomeUnknown:
            return await self.run(call)

    async def read_recorded(self, shard: int) -> None:
        """Ask how far a shard's recorder is, where no reply has told lately."""
        memory = self._memories[shard]
        epoch, recorded = await self.links.read(shard, "HMGET", shard_key(shard), "epoch", "recorded")
        if epoch is None or int(epoch) != memory.epoch:
            await self._rejoin(shard)
        elif recorded is not None:
            memory.note_recorded(int(recorded))

    async def _run_under(self, call: Call, epoch: int) -> Reply:
        memory = self._memories[call.shard]
        seq_before = memory.seq
        reply = parse_reply(await self.links.run(call, epoch))
        if reply.epoch == memory.epoch and reply.seq < seq_before:
            # What was seen before this call was sent is gone: the data went back in time under the same name.
            await self.links.read(call.shard, "HSET", shard_key(call.shard), "state", "closed")
            raise ShardClosed(f"shard {call.shard} fell from seq {seq_before} to {reply.seq}")
        memory.note(reply)
        return reply

    async def _rejoin(self, shard: int) -> str:
        """Reread a shard's record and return its state; in a new epoch, bring open holds and unrecorded ends there.

        Raises: ShardClosed while nobody has opened the shard for the process that serves it now.
        """
        async with self._joining[shard]:
            fields = await self.links.read(shard, "HMGET", shard_key(shard), "state", "run_id", "epoch")
            state, run_id, epoch = (field.decode() if field else "" for field in fields)
            if state not in ("open", "adopting") or run_id != await self.links.run_id_of(shard):
                raise ShardClosed(f"shard {shard} is not open: it waits to be rebuilt")
            memory = self._memories.get(shard)
            if memory is None:
                self._memories[shard] = ShardMemory(shard, int(epoch))
            elif memory.epoch != int(epoch):
                await self._bring(memory, int(epoch))
            return state

    async def _bring(self, memory: ShardMemory, epoch: int) -> None:
        holds = [hold for hold in self._open.values() if hold.ref.scope.shard == memory.shard]
        ends = list(memory.unrecorded)
        log.warning(
            "shard %d is in epoch %d: bringing %d holds and %d ends",
            memory.shard,
            epoch,
            len(holds),
            len(ends),
        )
        for start in range(0, len(holds), CLAIMS_AT_ONCE):
            batch = holds[start : start + CLAIMS_AT_ONCE]
            await asyncio.gather(*(self._adopt(hold, epoch) for hold in batch if hold.given_up_s is None))
        replayed: list[Unrecorded] = []
        for start in range(0, len(ends), CLAIMS_AT_ONCE):
            batch_of_ends = ends[start : start + CLAIMS_AT_ONCE]
            replayed += await asyncio.gather(*(self._replay(end, epoch) for end in batch_of_ends))
        memory.enter(epoch, sorted(replayed, key=lambda end: end.seq))

    async def _adopt(self, hold: OpenHold, epoch: int) -> None:
        call = adopt_call(claim_of(hold), lease_ms=self._lease_ms)
        reply = parse_reply(await self.links.run(call, epoch))
        if reply.status != "ended":
            hold.deadline_ms = reply.rest[0]

    async def _replay(self, end: Unrecorded, epoch: int) -> Unrecorded:
        reply = parse_reply(await self.links.run(replay_call(end.claim), epoch))
        if not parse_replay(reply):
            # It expired as unresolved meanwhile: ended once more, it appends the correction.
            reply = parse_reply(await self.links.run(end.ending.call(), epoch))
        return Unrecorded(reply.seq, end.claim, end.ending)
