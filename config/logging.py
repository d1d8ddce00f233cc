"""Structured log lines on standard error: one JSON object a line, secrets struck out."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

# Whatever looks like a credential, ours or a provider's, never reaches a log, however it got into the message.
_SECRET = re.compile(
    r"(fbx_[a-z]{2}_(?:live|test)_[0-9a-z]{16}_)[0-9a-z]+|\b((?:sk|rk|whsec|gsk|xai)[-_])[\w-]{8,}|(Bearer )\S+"
)
# Who a tenant's customer is: the tail of an address, and what PostgreSQL quotes of a row that it refused.
_PERSONAL = re.compile(
    r"(/customers/by-external-id/)[^\s\"\\]+|(Key \([^)]*\)=\()[^)]*|(Failing row contains \()[^\n\\]*"
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def redact(text: str) -> str:
    """Strike out credentials and who a customer is, keeping the public prefix that tells which one it was."""
    for pattern in (_SECRET, _PERSONAL):
        text = pattern.sub(lambda match: f"{match[1] or match[2] or match[3]}[redacted]", text)
    return text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then whatever ``extra`` carried."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, default=str, ensure_ascii=False))


def logging_config(level: str) -> dict[str, Any]:
    """Return the dictConfig of every process."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "config.logging.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }
