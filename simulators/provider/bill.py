"""The request log and the bill that follows from it: one record for every request that came in."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from simulators.provider.prices import SEARCH_NANOUSD, bill_nanousd, decimal_usd
from simulators.provider.usages import Reported


@dataclass(slots=True)
class Record:
    """What became of one request, and what it is billed."""

    seq: int
    request_id: str
    received_ms: int
    method: str
    path: str
    authorization: str | None  # a fingerprint, never the key
    hold_id: str | None
    idempotency_key: str | None
    caller_request_id: str | None
    dialect: str = "openai"
    model: str | None = None
    stream: bool = False
    status: int | None = None  # None: the caller was sent no status line
    end: str = "open"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    searches: int = 0
    compacted_tokens: tuple[int, int] = (0, 0)  # prompt and summary, billed beside the rest
    advisor: str | None = None
    advised_tokens: tuple[int, int] = (0, 0)  # prompt and advice, at the advisor's own price
    reported_usage: Reported | None = None  # what the caller was told
    billed_nanousd: int = 0
    ended_ms: int | None = None

    def as_dict(self) -> dict[str, object]:
        """List every field by name."""
        named: dict[str, object] = {name: getattr(self, name) for name in Record.__slots__}
        if self.reported_usage is not None:
            named["reported_usage"] = self.reported_usage.as_dict()
        return named


@dataclass(slots=True)
class Sum:
    """Counts and amounts over records."""

    count: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    billed_nanousd: int = 0

    def add(self, other: Record | Sum) -> None:
        """Add one record, or the sum of many."""
        self.count += other.count if isinstance(other, Sum) else 1
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.cached_tokens += other.cached_tokens
        self.cache_write_5m_tokens += other.cache_write_5m_tokens
        self.cache_write_1h_tokens += other.cache_write_1h_tokens
        self.reasoning_tokens += other.reasoning_tokens
        self.billed_nanousd += other.billed_nanousd

    def as_dict(self) -> dict[str, object]:
        """List the sums by name, the amount in dollars beside the nano-dollars."""
        named: dict[str, object] = {name: getattr(self, name) for name in Sum.__slots__}
        return named | {"billed_usd": decimal_usd(self.billed_nanousd)}


@dataclass(slots=True)
class Bill:
    """All records since the start or the last reset, their sums, and the file that outlives the process."""

    file: TextIO | None = None
    # Ids stay unique over restarts, so that a bill file may hold several runs.
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    records: list[Record] = field(default_factory=list)
    open: dict[int, Record] = field(default_factory=dict)
    _sums: dict[tuple[str, str, str], Sum] = field(default_factory=dict)
    _seq: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def take_seq(self) -> int:
        """Number the next request; numbers go on growing over resets."""
        return next(self._seq)

    def begin(self, record: Record) -> None:
        """Enter a request that has arrived."""
        self.open[record.seq] = record

    def close(self, record: Record, end: str) -> None:
        """Price a request that has ended and put it on the bill, once."""
        # Absent after a reset: what was open then belongs to no bill.
        if self.open.pop(record.seq, None) is None:
            return
        record.end = end
        record.ended_ms = time.time_ns() // 1_000_000
        if record.prompt_tokens or record.completion_tokens:
            record.billed_nanousd = _billed(record)
        self.records.append(record)
        key = (str(record.status or "none"), record.model or "none", end)
        self._sums.setdefault(key, Sum()).add(record)
        if self.file is not None:
            self.file.write(json.dumps(record.as_dict()) + "\n")
            self.file.flush()

    def reset(self) -> None:
        """Forget every record; requests still open will not be billed. The bill file keeps what it has."""
        self.records.clear()
        self.open.clear()
        self._sums.clear()

    def totals(self) -> dict[str, object]:
        """Sum the bill: over all, by status, by model and by how requests ended."""
        total = Sum()
        groups: tuple[dict[str, Sum], ...] = ({}, {}, {})
        for key, part in self._sums.items():
            total.add(part)
            for group, name in zip(groups, key, strict=True):
                group.setdefault(name, Sum()).add(part)
        by = [{name: part.as_dict() for name, part in group.items()} for group in groups]
        return {
            "run": self.run,
            "open": len(self.open),
            **total.as_dict(),
            "by_status": by[0],
            "by_model": by[1],
            "by_end": by[2],
        }

    def lines(self) -> bytes:
        """Write every record as a JSON line."""
        return "".join(json.dumps(record.as_dict()) + "\n" for record in self.records).encode()

    def log(self, last: int) -> dict[str, object]:
        """List the requests still open and the last ones that ended, newest first."""
        return {
            "open": [record.as_dict() for record in self.open.values()],
            "ended": [record.as_dict() for record in reversed(self.records[-last:] if last else [])],
        }


def _billed(record: Record) -> int:
    compacted, advised = record.compacted_tokens, record.advised_tokens
    own_nanousd = bill_nanousd(
        record.model or "",
        prompt=record.prompt_tokens + compacted[0],
        cached=record.cached_tokens,
        completion=record.completion_tokens + compacted[1],
        written=(record.cache_write_5m_tokens, record.cache_write_1h_tokens),
    )
    fees_nanousd = record.searches * SEARCH_NANOUSD
    if record.advisor is None:
        return own_nanousd + fees_nanousd
    advised_nanousd = bill_nanousd(record.advisor, prompt=advised[0], cached=0, completion=advised[1])
    return own_nanousd + fees_nanousd + advised_nanousd


def open_bill(path: Path | None) -> Bill:
    """Start an empty bill, appending to a file when one is named."""
    return Bill(file=None if path is None else path.open("a", encoding="utf-8"))
