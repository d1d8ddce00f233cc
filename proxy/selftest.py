"""Proof at every start that the gate stands in the path: a canary that must be refused, on every route there is."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Protocol

from enforcement.keyring import RANDOM_BITS, make_key
from metering.ids import make_id
from proxy.asgi import Message, Receive, Scope, Send
from proxy.errors import GateOpen
from proxy.gateway import Gateway

_MESSAGES = b'"messages":[{"role":"user","content":"canary"}]'
# By how a path ends: a body that its dialect takes, so that nothing but the gate can be what refuses it.
_BODIES = {
    "/chat/completions": b'{"model":"canary",' + _MESSAGES + b"}",
    "/completions": b'{"model":"canary","prompt":"canary","max_tokens":1}',
    "/embeddings": b'{"model":"canary","input":"canary"}',
    "/moderations": b'{"model":"canary","input":"canary"}',
    "/messages": b'{"model":"canary","max_tokens":1,' + _MESSAGES + b"}",
    "/messages/count_tokens": b'{"model":"canary",' + _MESSAGES + b"}",
    "/responses": b'{"model":"canary","input":"canary"}',
    "/responses/input_tokens": b'{"model":"canary","input":"canary"}',
    "/responses/compact": b'{"model":"canary","input":"canary"}',
    "generateContent": b'{"contents":[{"role":"user","parts":[{"text":"canary"}]}]}',
    "streamGenerateContent": b'{"contents":[{"role":"user","parts":[{"text":"canary"}]}]}',
    "countTokens": b'{"contents":[{"role":"user","parts":[{"text":"canary"}]}]}',
    "embedContent": b'{"content":{"parts":[{"text":"canary"}]}}',
    "batchEmbedContents": b'{"requests":[{"model":"models/canary","content":{"parts":[{"text":"canary"}]}}]}',
}
_DENIED = frozenset((401, 503))  # nobody's key, or no Redis to ask


class Servant(Protocol):
    """An ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event."""


def canary_for(path: str) -> bytes:
    """Return a body that the dialect of a path takes; empty where the route reads none."""
    fitting = [ending for ending in _BODIES if path.endswith(ending)]
    return _BODIES[max(fitting, key=len)] if fitting else b""


async def prove_gate(app: Servant, gateway: Gateway, routes: Iterable[tuple[str, str]]) -> None:
    """Send a well-formed request with a key of nobody's to every route.

    Raises: GateOpen when one is not refused, or a door to the providers was so much as asked.
    """
    key = make_key("ck", "test", make_id("ten", secrets.randbits(80)), secrets.randbits(RANDOM_BITS))
    for method, path in routes:
        status = await _ask(app, method, path, key)
        if status not in _DENIED or gateway.door.asked or gateway.counting_door.asked:
            raise GateOpen(
                f"the canary on {method} {path} was answered {status}: the gate is not in the path"
            )


async def _ask(app: Servant, method: str, path: str, key: str) -> int:
    answered: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": canary_for(path)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return answered[0] if answered else 0
