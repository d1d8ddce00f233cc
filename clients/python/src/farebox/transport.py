"""Requests and when they are sent again: only where a second time does nothing more than the first.

Reads, and writes that say how something is to be, may always be repeated. A POST may because each carries an
Idempotency-Key: the server answers a repetition as it answered the first.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from farebox.errors import ApiError, ConnectionFailed, UnreadableAnswer, error_for
from farebox.shapes import read, to_json, to_query

T = TypeVar("T")

RETRIES = 2
TIMEOUT_SECONDS = 30.0
PAUSE_SECONDS = 0.25
PAUSE_SECONDS_MAX = 30.0
# What passes by itself: contention, a first try that is still running, a part that is away for a moment.
_PASSING = frozenset((429, 502, 503, 504))
IN_PROGRESS = "request_in_progress"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    idempotency_key: str | None = None

    def request(self, client: httpx.Client | httpx.AsyncClient, cursor: str | None = None) -> httpx.Request:
        """Make it for a client, for a page of a list where a cursor says so."""
        query = to_query({**self.query, **({"cursor": cursor} if cursor else {})})
        headers = {}
        if self.method == "POST":
            headers["Idempotency-Key"] = self.idempotency_key or secrets.token_hex(16)
        body = None if self.body is None else to_json(self.body)
        return client.build_request(self.method, self.path, params=query, json=body, headers=headers)


def pause_after(answer: httpx.Response | None, attempt: int) -> float | None:
    """Tell how long to wait in seconds before the next try; None where there should be none."""
    pause: float = PAUSE_SECONDS * 2**attempt
    if answer is None:
        return pause
    retry_after = _retry_after_seconds(answer)
    if answer.status_code in _PASSING and answer.headers.get("x-should-retry") != "false":
        wait = pause if retry_after is None else retry_after
        return wait if wait <= PAUSE_SECONDS_MAX else None
    is_running = answer.status_code == 409 and _document(answer).get("code") == IN_PROGRESS
    return pause if is_running else None


def taken(answer: httpx.Response, kind: Any) -> Any:
    """Read an answer as a shape, as text where it is no JSON. Raises: ApiError, UnreadableAnswer."""
    if answer.status_code >= 400:
        raise error_for(
            answer.status_code, _document(answer), retry_after_seconds=_retry_after_seconds(answer)
        )
    if kind is None:
        return None
    return answer.text if kind is str else read(kind, _json(answer))


def page_of(answer: httpx.Response, kind: type[T]) -> tuple[list[T], str | None]:
    """Read one page of a list. Returns: its rows, and the cursor of the next one. Raises: as ``taken``."""
    page = taken(answer, dict[str, Any])
    rows = page.get("data")
    if not isinstance(rows, list):
        raise UnreadableAnswer(f"{answer.url} answered no page")
    return [read(kind, row) for row in rows], page.get("next_cursor")


class Sender:
    """Sends requests one after the other."""

    def __init__(self, http: httpx.Client, *, retries: int) -> None:
        self._http = http
        self._retries = retries

    def call(self, ask: Ask, kind: Any) -> Any:
        """Send a request and read its answer. Raises: FareboxError."""
        return taken(self._send(ask.request(self._http)), kind)

    def pages(self, ask: Ask, kind: type[T]) -> Iterator[T]:
        """Go through a list, page by page as it is read. Raises: FareboxError."""
        cursor: str | None = None
        while True:
            rows, cursor = page_of(self._send(ask.request(self._http, cursor)), kind)
            yield from rows
            if not cursor:
                return

    def _send(self, request: httpx.Request) -> httpx.Response:
        for attempt in range(self._retries + 1):
            answer: httpx.Response | None = None
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                if attempt == self._retries:
                    raise ConnectionFailed(f"{request.method} {request.url}: {error!r}") from error
            pause = pause_after(answer, attempt)
            if answer is not None and (pause is None or attempt == self._retries):
                return answer
            time.sleep(pause or 0)
        raise AssertionError("unreachable: the last try returns or raises")


class AsyncSender:
    """Sends requests without holding up an event loop."""

    def __init__(self, http: httpx.AsyncClient, *, retries: int) -> None:
        self._http = http
        self._retries = retries

    async def call(self, ask: Ask, kind: Any) -> Any:
        """Send a request and read its answer. Raises: FareboxError."""
        return taken(await self._send(ask.request(self._http)), kind)

    async def pages(self, ask: Ask, kind: type[T]) -> AsyncIterator[T]:
        """Go through a list, page by page as it is read. Raises: FareboxError."""
        cursor: str | None = None
        while True:
            rows, cursor = page_of(await self._send(ask.request(self._http, cursor)), kind)
            for row in rows:
                yield row
            if not cursor:
                return

    async def _send(self, request: httpx.Request) -> httpx.Response:
        for attempt in range(self._retries + 1):
            answer: httpx.Response | None = None
            try:
                answer = await self._http.send(request)
            except httpx.TransportError as error:
                if attempt == self._retries:
                    raise ConnectionFailed(f"{request.method} {request.url}: {error!r}") from error
            pause = pause_after(answer, attempt)
            if answer is not None and (pause is None or attempt == self._retries):
                return answer
            await asyncio.sleep(pause or 0)
        raise AssertionError("unreachable: the last try returns or raises")


def _retry_after_seconds(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _document(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"code": "", "detail": answer.text[:300]}


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise UnreadableAnswer(f"{answer.url} answered no JSON") from error


__all__ = ["ApiError", "Ask", "AsyncSender", "Sender"]
