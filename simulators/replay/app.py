"""The stand-in provider as one ASGI callable: ``POST /<provider>/…`` is answered with the row recorded for it."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from simulators.replay.rows import Row, answer_of, digest_of, digest_of_row, is_reported, read_rows, wire_of
from simulators.replay.wires import model_of_path, wire_of_path

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# A stream comes in pieces that end anywhere but at an event's end.
PIECE_BYTES = 4_999


class Replay:
    """Serves each recorded row once; a request nobody recorded is a 404."""

    def __init__(self, folder: Path) -> None:
        self._rows: dict[str, deque[Row]] = defaultdict(deque)
        for row in filter(is_reported, read_rows(folder)):
            self._rows[digest_of_row(row)].append(row)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await _send(send, 200, b"application/json", b"{}")
            return
        body = await _read(receive)
        path = scope["path"]
        provider, wire = path.split("/")[1], wire_of_path(path)
        name = digest_of(provider, wire, json.loads(body), model=model_of_path(path)) if wire else ""
        waiting = self._rows.get(name)
        if not waiting:
            message = b'{"error":{"message":"nothing was recorded for this request"}}'
            await _send(send, 418, b"application/json", message)
            return
        row = waiting.popleft()
        kind, answer = answer_of(row)
        await _send(send, row["status"], kind, answer, row)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, status: int, kind: bytes, body: bytes, row: Row | None = None) -> None:
    headers = [(b"content-type", kind)]
    if row is not None:
        headers.append((wire_of(row).id_header.encode(), row["id"].encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for place in range(0, len(body), PIECE_BYTES):
        piece = body[place : place + PIECE_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
