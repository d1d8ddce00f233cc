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

_BODY = b'{"model":"canary","messages":[{"role":"user","content":"canary"}]}'
_DENIED = frozenset((401, 503))  # nobody's key, or no Redis to ask


class Servant(Protocol):
    """An ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event."""


async def prove_gate(app: Servant, gateway: Gateway, routes: Iterable[tuple[str, str]]) -> None:
    """Send a well-formed request with a key of nobody's to every route.

    Raises: GateOpen when one is not refused, or the door to the providers was so much as asked.
    """
    key = make_key("ck", "test", make_id("ten", secrets.randbits(80)), secrets.randbits(RANDOM_BITS))
    for method, path in routes:
        status = await _ask(app, method, path, key)
        if status not in _DENIED or gateway.door.asked:
            raise GateOpen(
                f"the canary on {method} {path} was answered {status}: the gate is not in the path"
            )


async def _ask(app: Servant, method: str, path: str, key: str) -> int:
    answered: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": _BODY}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return answered[0] if answered else 0
