"""Answers of our own: refusals in the dialect's shape, documents, headers."""

from __future__ import annotations

import msgspec

from metering.money import format_usd
from proxy.asgi import Headers, Send
from proxy.errors import CODES, Refusal
from proxy.providers.base import ErrorShape

_JSON = (b"content-type", b"application/json")
_DO_NOT_RETRY = (b"x-should-retry", b"false")
_encode = msgspec.json.Encoder().encode


def error_headers(refusal: Refusal) -> Headers:
    """The headers of a refusal: when to come again, or that coming again is no use."""
    headers: Headers = [_JSON]
    if refusal.retry_after_ms is None or not CODES[refusal.code].may_retry:
        headers.append(_DO_NOT_RETRY)
    elif refusal.retry_after_ms:
        headers.extend(retry_after(refusal.retry_after_ms))
    return headers


def retry_after(wait_ms: int) -> Headers:
    """Say when to come again: whole seconds rounded up for all, milliseconds for clients that read them."""
    seconds = -(-wait_ms // 1000)
    return [(b"retry-after", b"%d" % seconds), (b"retry-after-ms", b"%d" % wait_ms)]


async def send_refusal(
    send: Send, refusal: Refusal, *, shape: ErrorShape, request_id: str, docs_url: str
) -> None:
    """Send a refusal as the whole answer, in its dialect's shape."""
    headers = [*error_headers(refusal), *shape.id_headers(request_id)]
    headers.append((b"farebox-request-id", request_id.encode()))
    body = shape.body(refusal, request_id=request_id, docs_url=docs_url)
    await send_whole(send, CODES[refusal.code].status, body, headers)


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send an answer whose body is all there."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, document: object) -> None:
    """Send a document of our own."""
    await send_whole(send, status, _encode(document), [_JSON])


def usd(amount_nanousd: int) -> bytes:
    """Write an amount for a header."""
    return format_usd(amount_nanousd).encode()
