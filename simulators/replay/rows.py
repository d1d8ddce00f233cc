"""Recorded rows: which can be replayed, under what digest a request for one is known, and what answers it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

Row = dict[str, Any]

# What a gateway sets or changes on the way.
CHANGED: Final = frozenset({"max_tokens", "max_completion_tokens", "stream_options"})
CHAT: Final = "chat_completions"
MESSAGES: Final = "v1_messages"


def files(folder: Path) -> list[Path]:
    """The files of recorded chats and Messages."""
    return sorted(
        path
        for path in folder.glob("*.jsonl.gz")
        if path.name.removesuffix(".jsonl.gz").endswith((CHAT, MESSAGES))
    )


def read_rows(folder: Path) -> Iterator[Row]:
    """Read every row whose request is whole enough to be sent again and that was answered with status 200."""
    for path in files(folder):
        with gzip.open(path) as lines:
            for row in map(json.loads, lines):
                if row["status"] == 200 and isinstance(row["request_body"], dict):
                    row["messages"] = path.name.removesuffix(".jsonl.gz").endswith(MESSAGES)
                    yield row


def is_reported(row: Row) -> bool:
    """Whether a row's answer told its usage; a stream that was not asked to told none."""
    return bool(row["usage"] and row["usage_raw"] and row["model"])


def request_of(row: Row) -> dict[str, Any]:
    """The recorded request; Azure names the model in the address alone."""
    body: dict[str, Any] = row["request_body"]
    return body if body.get("model") else {**body, "model": row["model"]}


def digest_of(provider: str, body: dict[str, Any]) -> str:
    """Name a request by what a gateway leaves alone."""
    kept = {name: value for name, value in body.items() if name not in CHANGED}
    text = json.dumps([provider, kept], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def answer_of(row: Row) -> tuple[bytes, bytes]:
    """The content type and the body that answer a row: a stream as it came, a document as JSON again."""
    body = row["response_body"]
    recorded = (row["response_headers"] or {}).get("content-type")
    if isinstance(body, str):
        kind = "text/event-stream" if row["response_encoding"] == "sse" else "text/plain"
        return (recorded or kind).encode(), body.encode()
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return (recorded or "application/json").encode(), text.encode()
