"""What goes on when its caller has gone: every request's work is a task of its own, known by name until it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType

from proxy.asgi import Receive

log = logging.getLogger("farebox.proxy")


class Watch:
    """One request's patience: until when the next step may take, and why it was cut short."""

    __slots__ = ("_deadline", "_loop", "_until", "caller_gone", "cut_word")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.Timeout | None = None
        self._until: float | None = None  # no step may go beyond this instant
        self.caller_gone = False
        self.cut_word = ""

    async def __aenter__(self) -> Watch:
        self._deadline = asyncio.timeout(None)
        await self._deadline.__aenter__()
        if self.cut_word:
            self._deadline.reschedule(self._loop.time())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._deadline is not None
        deadline, self._deadline = self._deadline, None
        await deadline.__aexit__(kind, error, trace)

    def allow(self, step_ms: int) -> None:
        """Give the next step this much time, or what is left."""
        when = self._loop.time() + step_ms / 1000
        if self._until is not None:
            when = min(when, self._until)
        if self._deadline is not None:
            self._deadline.reschedule(when)

    def leave(self, drain_ms: int) -> None:
        """Note that the caller is gone: upstream is read on for its usage, but not for ever."""
        if not self.caller_gone:
            self.caller_gone = True
            self._end_by(self._loop.time() + drain_ms / 1000)

    def cut(self, word: str) -> None:
        """End the request's wait now."""
        self.cut_word = self.cut_word or word
        self._end_by(self._loop.time())

    def _end_by(self, when: float) -> None:
        self._until = when if self._until is None else min(when, self._until)
        if self._deadline is not None and not self._deadline.expired():
            current = self._deadline.when()
            self._deadline.reschedule(self._until if current is None else min(current, self._until))


class Flights:
    """All requests under way in this process."""

    def __init__(self) -> None:
        self._under_way: dict[asyncio.Task[None], Watch] = {}
        self.closing = False

    def __len__(self) -> int:
        return len(self._under_way)

    async def run(self, work: Coroutine[None, None, None], watch: Watch) -> None:
        """Run a request's work to its end, whatever becomes of the task that asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way[task] = watch
        task.add_done_callback(self._landed)
        await asyncio.shield(task)

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request failed", exc_info=error)

    async def close(self, *, grace_ms: int) -> None:
        """Let requests end by themselves for a while, then cut the rest so that they can still be settled."""
        self.closing = True
        await self._wait(grace_ms / 1000)
        for watch in list(self._under_way.values()):
            watch.cut("shutdown")
        await self._wait(5.0)

    async def _wait(self, seconds: float) -> None:
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=seconds)


async def watch_caller(receive: Receive, watch: Watch, *, drain_ms: int) -> None:
    """Wait for the caller to hang up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.leave(drain_ms)
