"""HTTP/1.1 over asyncio: one exchange at a time per connection, and the ways a server can break one off.

A server framework hides the socket, and half of what this simulator is for (cut, reset, hang) happens there.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, cast

import httptools

BODY_BYTES_MAX: Final = 32 * 1024 * 1024
_WRITE_BUFFER_BYTES = 256 * 1024
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {529: "Site is overloaded"}
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, "Unknown").encode())
    for status in range(200, 600)
}

Handler = Callable[["Exchange"], Coroutine[None, None, None] | None]


@dataclass(slots=True)
class Exchange:
    """One request, and the answer being made to it."""

    connection: Connection
    method: str = ""
    target: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    too_large: bool = False
    keep_alive: bool = True

    def reply(self, status: int, headers: bytes, *, body: bytes) -> None:
        """Send a whole answer; `headers` is a block of lines that each end in CRLF."""
        self.connection.transport.write(self._head(status, headers, body_bytes=len(body)) + body)
        self.connection.finish(self)

    def reply_half(self, status: int, headers: bytes, *, body: bytes) -> None:
        """Promise the whole answer, send half of its body and close."""
        self.connection.transport.write(
            self._head(status, headers, body_bytes=len(body)) + body[: len(body) // 2]
        )
        self.cut()

    def begin(self, headers: bytes) -> None:
        """Send the head of a 200 answer whose length is not known yet."""
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        head = b"%b%b%btransfer-encoding: chunked\r\n\r\n" % (_STATUS_LINES[200], headers, closing)
        self.connection.transport.write(head)

    def send(self, data: bytes) -> None:
        """Send a piece of a begun answer."""
        if data:
            self.connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def drain(self) -> None:
        """Wait until the caller has read enough of what was sent."""
        if self.connection.paused is not None:
            await self.connection.paused

    def end(self) -> None:
        """End a begun answer as it should be."""
        self.connection.transport.write(b"0\r\n\r\n")
        self.connection.finish(self)

    def cut(self) -> None:
        """Close the connection after what was sent, whether or not the answer is whole."""
        self.connection.transport.close()

    def reset(self) -> None:
        """Reset the connection: the caller reads an error, not an end."""
        raw = self.connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()

    def _head(self, status: int, headers: bytes, *, body_bytes: int) -> bytes:
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        return b"%b%b%bcontent-length: %d\r\n\r\n" % (_STATUS_LINES[status], headers, closing, body_bytes)


class Connection(asyncio.Protocol):
    """One connection: parses requests and hands them to the handler in order."""

    transport: asyncio.Transport

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._incoming = Exchange(self)
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self.paused: asyncio.Future[None] | None = None

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back to the caller."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the work for a caller who has gone; its record is closed as the task unwinds."""
        self._connections.discard(self)
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Make `drain` wait."""
        if self.paused is None:
            self.paused = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let `drain` go on."""
        if self.paused is not None:
            if not self.paused.done():
                self.paused.set_result(None)
            self.paused = None

    def data_received(self, data: bytes) -> None:
        """Parse what came in, then serve what is complete."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.write(_STATUS_LINES[400] + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()
            return
        except httptools.HttpParserUpgrade:
            self.transport.close()
            return
        if self._current is None and self._waiting:
            self._serve_next()

    # httptools calls these.

    def on_message_begin(self) -> None:
        """Start a request."""
        self._incoming = Exchange(self)
        self._chunks = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in pieces."""
        self._incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; the last of a name counts."""
        self._incoming.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Ask for the body when the caller waits to be asked."""
        if self._incoming.headers.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Collect the body up to the limit; past it, read on and forget, so that the refusal is heard."""
        self._body_bytes += len(body)
        if self._body_bytes <= BODY_BYTES_MAX:
            self._chunks.append(body)
        else:
            self._chunks.clear()

    def on_message_complete(self) -> None:
        """Queue the request; serving it here would hide its errors inside the parser's."""
        exchange = self._incoming
        exchange.method = self._parser.get_method().decode("ascii")
        exchange.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        exchange.too_large = self._body_bytes > BODY_BYTES_MAX
        exchange.keep_alive = self._parser.should_keep_alive() and not exchange.too_large
        self._waiting.append(exchange)

    def finish(self, exchange: Exchange) -> None:
        """Take note that an answer is complete, and make room for the next."""
        self._current = None
        self._task = None
        if not exchange.keep_alive:
            self.transport.close()
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self._serve_next)

    def _serve_next(self) -> None:
        if self._current is not None or not self._waiting:
            return
        exchange = self._current = self._waiting.popleft()
        work = self._handler(exchange)
        # A handler that had nothing to wait for has answered by now.
        if work is not None:
            self._task = asyncio.get_running_loop().create_task(work)
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.transport.abort()
            task.get_loop().call_exception_handler(
                {"message": "request failed", "exception": task.exception()}
            )
