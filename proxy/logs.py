"""One structured line per request: who, what, how it ended, how long it took. No secrets, no bodies."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from proxy.exchange import Exchange

# Short enough that nobody waits for a line, long enough that a busy process writes many at once.
FLUSH_SECONDS = 0.02

log = logging.getLogger("farebox.proxy.requests")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class RequestLines:
    """Request lines on their way to standard error, written together: one system call for many requests."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._encoder = msgspec.json.Encoder()

    def add(self, line: dict[str, Any]) -> None:
        """Take a line; it is written within ``FLUSH_SECONDS``."""
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._lines.append(self._encoder.encode(line))

    def flush(self) -> None:
        """Write what was taken."""
        lines, self._lines = self._lines, []
        if lines:
            sys.stderr.write(b"\n".join(lines).decode() + "\n")
            sys.stderr.flush()


_request_lines = RequestLines()


def log_request(exchange: Exchange, elapsed_seconds: float) -> None:
    """Write a request's line."""
    if not log.isEnabledFor(logging.INFO):
        return
    _request_lines.add(
        {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": "info",
            "logger": log.name,
            "event": "request",
            "request_id": exchange.request_id,
            "route": exchange.scope["path"],
            "code": exchange.code,
            "ms": round(elapsed_seconds * 1000, 2),
            "upstream_ms": round(exchange.upstream_seconds * 1000, 2),
            "key_id": exchange.key_id,
            "model": exchange.model,
            "hold_id": exchange.hold_id,
        }
    )


def flush_requests() -> None:
    """Write the request lines that are still waiting: the last thing a process does."""
    _request_lines.flush()


class WithoutQueries(logging.Filter):
    """Takes the query out of a server's own access lines: Gemini's callers may put their key there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through, its address without what follows a question mark."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                one.partition("?")[0] if isinstance(one, str) and one.startswith("/") else one
                for one in record.args
            )
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line, with whatever ``extra`` carried."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure_logging(level: str) -> None:
    """Log to standard error, unless whoever runs us has set up logging already."""
    logging.getLogger("farebox").setLevel(level)
    logging.getLogger("uvicorn.access").addFilter(WithoutQueries())
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logging.getLogger("farebox").addHandler(handler)
