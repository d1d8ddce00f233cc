"""One structured line per request: who, what, how it ended, how long it took. No secrets, no bodies."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec

from proxy.exchange import Exchange

log = logging.getLogger("farebox.proxy.requests")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def log_request(exchange: Exchange, elapsed_seconds: float) -> None:
    """Write a request's line."""
    if not log.isEnabledFor(logging.INFO):
        return
    log.info(
        "request",
        extra={
            "request_id": exchange.request_id,
            "route": exchange.scope["path"],
            "code": exchange.code,
            "ms": round(elapsed_seconds * 1000, 2),
            "upstream_ms": round(exchange.upstream_seconds * 1000, 2),
            "key_id": exchange.key_id,
            "model": exchange.model,
            "hold_id": exchange.hold_id,
        },
    )


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
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logging.getLogger("farebox").addHandler(handler)
