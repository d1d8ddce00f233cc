"""Links to Redis for the hot path: calls of one event-loop tick leave in one write, replies come back in order.

redis-py makes and secures each connection (URL, TLS, sign-in, cluster topology); from then on its streams are driven
here, with its own parser library, because one call at a time costs ten times the processor time of a shared round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from enforcement.calls import Argument
from enforcement.errors import EnforcementUnavailable, OutcomeUnknown, UnsafeRedis

VERSION_MIN = (7, 0)
READ_BYTES = 64 * 1024
# A write costs more than many calls do. Where this many wait for replies anyway, the next write waits for company.
CROWD_CALLS = 4
GATHER_S = 0.002
BACKOFF_S = (0.05, 2.0)  # after a failed attempt to connect: first and longest pause

_MORE = object()


class ReplyError(Exception):
    """An error reply; its first word is Redis's name for it."""


def parse_info(raw: bytes | str) -> dict[str, str]:
    """Read the ``name:value`` lines of INFO."""
    text = raw.decode() if isinstance(raw, bytes) else raw
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def check_server(info: dict[str, str]) -> None:
    """Refuse a server that is too old or may evict keys. Raises: UnsafeRedis."""
    version = info.get("redis_version", "0.0")
    if tuple(int(part) for part in version.split(".")[:2]) < VERSION_MIN:
        raise UnsafeRedis(f"Redis {version} is too old: 7.0 is the least that runs the scripts")
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise UnsafeRedis(f"maxmemory-policy is {policy}: an evicted key is money given away; set noeviction")


class Link:
    """One connection to one node, made when first needed and again after it was lost.

    Raises (all methods): EnforcementUnavailable when the node cannot be reached; OutcomeUnknown when a call was sent
    and its reply did not come in time.
    """

    def __init__(self, make_connection: Callable[[], AbstractConnection], *, timeout_ms: int) -> None:
        self.run_id = ""  # of the server process this connection leads to
        self._make_connection = make_connection
        self._timeout_s = timeout_ms / 1000
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._outbox: list[bytes] = []
        self._connecting = asyncio.Lock()
        self._retry_at_s = 0.0
        self._pause_s = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether a call can be sent at once."""
        return self._writer is not None

    def send(self, parts: tuple[Argument, ...]) -> asyncio.Future[Any]:
        """Send a command on a connected link; the future gets its reply, or a ReplyError as its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._writer is None:
            # Were it kept, it would take the reply of another call once the link is up again.
            future.set_exception(EnforcementUnavailable("the connection to Redis was lost"))
            return future
        if not self._outbox:
            if len(self._waiting) < CROWD_CALLS:
                loop.call_soon(self._flush)
            else:
                loop.call_later(GATHER_S, self._flush)
        self._outbox.append(hiredis.pack_command(parts))  # type: ignore[arg-type]  # hints name a 1-tuple
        self._waiting.append((future, loop.time()))
        if self._watching is None:
            self._watching = loop.call_later(self._timeout_s, self._watch)
        return future

    async def connect(self) -> None:
        """Connect unless connected, check the server and learn which process it is.

        Raises: UnsafeRedis when it may evict keys or is too old.
        """
        async with self._connecting:
            if self._writer is not None:
                return
            loop = asyncio.get_running_loop()
            if loop.time() < self._retry_at_s:
                raise EnforcementUnavailable("Redis is away; the next attempt to connect is not due yet")
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._open()
            except (OSError, RedisError) as error:
                self._pause_s = min(max(BACKOFF_S[0], self._pause_s * 2), BACKOFF_S[1])
                self._retry_at_s = loop.time() + self._pause_s
                raise EnforcementUnavailable(f"no connection to Redis: {type(error).__name__}") from error
            self._pause_s = 0.0

    async def close(self) -> None:
        """Drop the connection; what waits for a reply fails."""
        reading = self._reading
        self._lose("the link was closed")
        if reading is not None:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _open(self) -> None:
        connection = self._make_connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no hints here
            await connection.send_command("INFO")
            info = parse_info(await connection.read_response())
            check_server(info)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self.run_id = info["run_id"]
        # The one place that knows redis-py's insides: its streams change hands once sign-in is done.
        reader = cast("asyncio.StreamReader", connection._reader)
        self._writer = cast("asyncio.StreamWriter", connection._writer)
        connection._reader = connection._writer = None
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader(replyError=ReplyError, notEnoughData=_MORE)
        why = "Redis closed the connection"
        try:
            while data := await reader.read(READ_BYTES):
                parser.feed(data)
                while (reply := parser.gets()) is not _MORE:
                    future, _ = self._waiting.popleft()
                    if not future.done():
                        future.set_result(reply)
        except (OSError, hiredis.HiredisError, IndexError) as error:
            why = f"the connection broke: {type(error).__name__}"
        self._lose(why)

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.write(b"".join(self._outbox))
        self._outbox.clear()

    def _watch(self) -> None:
        self._watching = None
        if not self._waiting:
            return
        # Replies come in order, so when the oldest is late the connection as a whole is.
        loop = asyncio.get_running_loop()
        due_s = self._waiting[0][1] + self._timeout_s
        if due_s > loop.time():
            self._watching = loop.call_at(due_s, self._watch)
            return
        assert self._reading is not None  # whoever waits was sent on a connection that is read
        self._reading.cancel()
        self._lose("Redis did not answer in time")

    def _lose(self, why: str) -> None:
        self._outbox.clear()
        if self._writer is not None:
            self._writer.close()
        self._writer = self._reading = None
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(OutcomeUnknown(why))
