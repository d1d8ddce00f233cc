"""The only door to a provider: it opens for a granted hold, and marks it dispatched before the first byte.

Sources: pyreqwest 0.15 names its errors by phase only roughly (a reset after sending comes as ``ConnectError``, a
time-out before the headers as ``ConnectTimeoutError``), so the causes decide: only ``client error (Connect)`` proves
that nothing was written. By default it reads 64 KiB ahead before it returns, which would hold back a stream and hide
the status of an answer that breaks off: so nothing is read ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyreqwest.client import Client
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    DetailedPyreqwestError,
    PoolTimeoutError,
    PyreqwestError,
)
from pyreqwest.http import Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from enforcement.decisions import Granted
from enforcement.policies import ProviderAccount
from proxy.addresses import Origins
from proxy.asgi import Headers
from proxy.errors import NotSent, Unfinished, UpstreamError

READ_AHEAD_BYTES = 0

# What a provider may say to a caller; all else stays here. What a caller may say to a provider is its dialect's.
FORWARDED_ANSWER_HEADERS = (
    *("content-type", "x-request-id", "request-id", "openai-processing-ms", "openai-version", "openai-model"),
    *("retry-after", "retry-after-ms", "x-should-retry"),
    *("apim-request-id", "x-ms-region", "x-ms-client-request-id"),  # what Azure's support asks for
)
_OWN_HEADERS = (
    ("content-type", "application/json"),
    ("accept-encoding", "identity"),
    ("user-agent", "farebox"),
)
# The caller's own id of an attempt, as OpenAI names it: what a bill or a support case is matched by.
CORRELATION_HEADER = "x-client-request-id"
_NOT_WRITTEN = "client error (Connect)"


class DispatchMark(Protocol):
    """The part of ``Holds`` the door needs."""

    async def dispatched(self, granted: Granted) -> bool:
        """Mark a hold before its first upstream byte."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request to a provider."""

    account: ProviderAccount
    path: str
    body: bytes
    stream: bool
    headers: Sequence[tuple[str, str]]  # how the credential is presented, and what was forwarded

    def __repr__(self) -> str:
        return f"Outgoing({self.account.account_id}, {self.path}, {len(self.body)} bytes)"


class Answer:
    """A provider's answer from its status on; its body is read piece by piece."""

    __slots__ = ("_request", "_response", "status")

    def __init__(self, request: StreamRequest, response: Response) -> None:
        self._request = request
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str:
        """Read a header; empty when absent."""
        return self._response.get_header(name) or ""

    @property
    def request_id(self) -> str:
        """The provider's own name for the request; empty where it gives none."""
        return self.header("x-request-id") or self.header("request-id")

    @property
    def encoding(self) -> str:
        """How its body is still encoded, though nobody asked for that: empty once it can be read as it stands."""
        # The client decodes what it knows and takes the header away.
        named = self.header("content-encoding").strip()
        return "" if named.lower() == "identity" else named

    def forwarded_headers(self) -> Headers:
        """The headers that may go on to the caller."""
        found: Headers = []
        for name in FORWARDED_ANSWER_HEADERS:
            value = self._response.get_header(name)
            if value is not None:
                found.append((name.encode(), value.encode("latin-1", "replace")))
        return found

    async def read_chunk(self) -> bytes | None:
        """Read the next piece as it came; None at the end. Raises: Unfinished."""
        try:
            chunk = await self._response.body_reader.read_chunk()
        except PyreqwestError as error:
            raise _classify(error, written=True) from error
        return None if chunk is None else bytes(chunk)

    async def read_whole(self, *, answer_bytes_max: int) -> bytes:
        """Read the whole body. Raises: Unfinished, also when it is larger than the bound."""
        first = await self.read_chunk()
        if first is None:
            return b""
        parts, read_bytes = [first], len(first)
        while (chunk := await self.read_chunk()) is not None:
            read_bytes += len(chunk)
            if read_bytes > answer_bytes_max:
                raise Unfinished(f"the provider's answer is larger than {answer_bytes_max} bytes")
            parts.append(chunk)
        return b"".join(parts) if len(parts) > 1 else first

    async def close(self) -> None:
        """Let go of the connection: back to the pool when read to its end, else closed."""
        await self._request.__aexit__(None, None, None)


class Door:
    """Sends requests to providers, each against a granted hold."""

    def __init__(self, origins: Origins, holds: DispatchMark) -> None:
        self._origins = origins
        self._holds = holds
        self.asked = 0  # how often anybody came here; the self-test wants to see none

    async def send(self, granted: Granted, outgoing: Outgoing) -> Answer:
        """Mark the hold dispatched and send its request; return when the answer's headers are in.

        Raises: NotSent when no byte was written; Unfinished when it may have been billed; EnforcementUnavailable.
        """
        self.asked += 1
        if not isinstance(granted, Granted):
            raise NotSent("no granted hold, no request")
        client, url = await self._origins.client_for(outgoing.account.base_url, outgoing.path)
        request = _built(client, url, granted, outgoing)
        if not await self._holds.dispatched(granted):
            raise NotSent("the hold ended before its request was sent")
        try:
            return Answer(request, await request.__aenter__())
        except PyreqwestError as error:
            failure = _classify(error, written=False)
            if isinstance(failure, NotSent):
                self._origins.forget(outgoing.account.base_url)
            raise failure from error


def _built(client: Client, url: Url, granted: Granted, outgoing: Outgoing) -> StreamRequest:
    try:
        return (
            client.post(url)
            .headers([*_OWN_HEADERS, (CORRELATION_HEADER, granted.hold_id), *outgoing.headers])
            .body_bytes(outgoing.body)
            .streamed_read_buffer_limit(READ_AHEAD_BYTES)
            .build_streamed()
        )
    except (PyreqwestError, ValueError):
        # Not chained: the message quotes the header, and that may be the credential.
        raise NotSent(
            "its request cannot be written: a header, such as the credential, is malformed"
        ) from None


def _classify(error: PyreqwestError, *, written: bool) -> UpstreamError:
    causes = [cause["message"] for cause in _causes(error)]
    what = causes[-1] if causes else error.message
    timed_out = isinstance(error, TimeoutError)
    if not written and (
        isinstance(error, BuilderError | PoolTimeoutError | ClientClosedError) or _NOT_WRITTEN in causes
    ):
        return NotSent(what, timed_out=timed_out)
    return Unfinished(what, timed_out=timed_out)


def _causes(error: PyreqwestError) -> Sequence[dict[str, str]]:
    if not isinstance(error, DetailedPyreqwestError):
        return ()
    return [{"message": cause["message"]} for cause in error.details.get("causes") or ()]
