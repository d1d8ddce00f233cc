"""What goes on behind the calls: renewing open holds, and sending the ends that could not be sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from enforcement.calls import HOLDS_PER_CALL_MAX
from enforcement.decisions import EndOutcome
from enforcement.errors import EnforcementUnavailable
from enforcement.hold_calls import renew_call
from enforcement.open_holds import Ending, OpenHold
from enforcement.shards import Shards

log = logging.getLogger(__name__)

RETRY_PAUSE_S = (0.1, 2.0)  # first and longest pause between two tries of the queue
ENDS_AT_ONCE = 100
# How long an end may still come for a hold that was given up, or a reserve nobody followed up is remembered.
MEMORY_S = 15 * 60.0

_Item = TypeVar("_Item", OpenHold, Ending)
Send = Callable[[Ending], Awaitable[EndOutcome]]


class Upkeep:
    """The renew timer and the queue of ends, as two background tasks."""

    def __init__(
        self,
        shards: Shards,
        open_holds: dict[str, OpenHold],
        send: Send,
        *,
        lease_ms: int,
        renew_every_ms: int,
    ) -> None:
        self._shards = shards
        self._open = open_holds
        self._send = send
        self._lease_ms = lease_ms
        self._renew_every_s = renew_every_ms / 1000
        self._queue: dict[str, Ending] = {}
        self._queued = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def queued(self) -> int:
        """How many ends wait to be sent."""
        return len(self._queue)

    @property
    def oldest_end_s(self) -> float | None:
        """When the oldest of those ends was asked for, by the event loop's clock."""
        return min((ending.hold.ended_s for ending in self._queue.values()), default=None)

    def start(self) -> None:
        """Start both tasks."""
        self._tasks = [
            asyncio.create_task(self._renew_for_ever()),
            asyncio.create_task(self._send_for_ever()),
        ]

    async def stop(self, *, patience_ms: int) -> None:
        """Stop both; the queue is given this long to empty itself."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_ms / 1000):
                while self._queue:
                    await self._send_queue()
                    await asyncio.sleep(RETRY_PAUSE_S[0] if self._queue else 0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._queue:
            log.warning("%d ends were not sent: their holds will expire", len(self._queue))

    def queue(self, ending: Ending) -> None:
        """Send an end as soon as Redis takes it; it takes the place of one queued before for the same hold."""
        self._queue[ending.hold.ref.hold_id] = ending
        self._queued.set()

    def is_queued(self, hold_id: str) -> bool:
        """Whether an end of this hold waits to be sent."""
        return hold_id in self._queue

    def forget(self, hold_id: str) -> None:
        """Take a queued end back: its hold is asked for again."""
        self._queue.pop(hold_id, None)

    async def renew(self) -> None:
        """Renew every dispatched hold, learn what the recorder has done, and forget what is over."""
        by_shard: defaultdict[int, list[OpenHold]] = defaultdict(list)
        for hold in self._open.values():
            if hold.state == "dispatched" and hold.given_up_s is None:
                by_shard[hold.ref.scope.shard].append(hold)
        asked = [
            self._renew_batch(shard, batch) for shard, holds in by_shard.items() for batch in _batches(holds)
        ]
        asked += [self._shards.read_recorded(shard) for shard in self._shards.unrecorded_shards]
        results = await asyncio.gather(*asked, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, EnforcementUnavailable):
                raise failure
        if failures:
            log.warning("%d of %d renewals failed: %s", len(failures), len(results), failures[0])
        self._forget()

    async def _renew_batch(self, shard: int, holds: list[OpenHold]) -> None:
        call = renew_call(shard, [hold.ref for hold in holds], lease_ms=self._lease_ms)
        reply = await self._shards.run(call)
        for hold, place in zip(holds, range(1, len(reply.rest)), strict=True):
            if reply.text(place) == "renewed":
                hold.deadline_ms = reply.rest[0]

    def _forget(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for hold_id, hold in list(self._open.items()):
            since_s = hold.given_up_s if hold.state == "dispatched" else hold.since_s
            if since_s is not None and now_s - since_s > MEMORY_S and hold_id not in self._queue:
                del self._open[hold_id]

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every_s)
            try:
                await self.renew()
            except Exception:
                log.exception("the renew timer failed; it goes on")

    async def _send_for_ever(self) -> None:
        pause_s = RETRY_PAUSE_S[0]
        while True:
            await self._queued.wait()
            await asyncio.sleep(pause_s)
            await self._send_queue()
            if self._queue:
                pause_s = min(pause_s * 2, RETRY_PAUSE_S[1])
            else:
                self._queued.clear()
                pause_s = RETRY_PAUSE_S[0]

    async def _send_queue(self) -> None:
        for batch in _batches(list(self._queue.values())):
            await asyncio.gather(*map(self._try, batch))

    async def _try(self, ending: Ending) -> None:
        try:
            await self._send(ending)
        except EnforcementUnavailable as error:
            log.debug("hold %s is not ended yet: %s", ending.hold.ref.hold_id, error)
            return
        except Exception:
            log.exception("ending hold %s failed; it stays queued", ending.hold.ref.hold_id)
            return
        hold_id = ending.hold.ref.hold_id
        if self._queue.get(hold_id) is ending:
            del self._queue[hold_id]


def _batches(items: list[_Item]) -> Iterable[list[_Item]]:
    return (items[start : start + HOLDS_PER_CALL_MAX] for start in range(0, len(items), HOLDS_PER_CALL_MAX))
