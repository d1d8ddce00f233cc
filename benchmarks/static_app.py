"""The floor: a raw ASGI callable that reads the body and gives a static answer of the usual size."""

from __future__ import annotations

from typing import Any

BODY = b'{"id":"x","object":"chat.completion","choices":[{"message":{"content":"' + b"word " * 280 + b'"}}]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer everything the same."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
