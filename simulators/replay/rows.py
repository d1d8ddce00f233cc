"""Recorded rows: which can be replayed, under what digest a request for one is known, and what answers it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulators.replay.wires import BY_NAME, Wire, left_alone, wire_of_file

Row = dict[str, Any]
_EXTENSION = ".jsonl.gz"


def read_rows(folder: Path) -> Iterator[Row]:
    """Read every row whose request is whole enough to be sent again and that was answered with status 200."""
    for path in sorted(folder.glob(f"*{_EXTENSION}")):
        wire = wire_of_file(path.name.removesuffix(_EXTENSION))
        if wire is None:
            continue
        with gzip.open(path) as lines:
            for row in map(json.loads, lines):
                if row["status"] == 200 and row["method"] == "POST" and isinstance(row["request_body"], dict):
                    yield {**row, "wire": wire.name}


def wire_of(row: Row) -> Wire:
    """The wire that a row came over."""
    return BY_NAME[row["wire"]]


def is_reported(row: Row) -> bool:
    """Whether a row's answer told its usage; a stream that was not asked to told none."""
    return bool(row["usage"] and row["usage_raw"] and row["model"])


def request_of(row: Row) -> Row:
    """The recorded request; where the model stands in the address alone (Azure) it is put into the body."""
    body: Row = row["request_body"]
    return body if wire_of(row).names_model_in_path or body.get("model") else {**body, "model": row["model"]}


def digest_of_row(row: Row) -> str:
    """Name a row by what a gateway leaves alone of its request."""
    wire = wire_of(row)
    model = row["model"] if wire.names_model_in_path else ""
    return digest_of(row["provider"], wire, request_of(row), model=model)


def digest_of(provider: str, wire: Wire, body: Row, *, model: str = "") -> str:
    """Name a request by what a gateway leaves alone."""
    text = json.dumps([provider, wire.name, model, left_alone(body)], sort_keys=True, separators=(",", ":"))
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
