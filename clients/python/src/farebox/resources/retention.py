"""retention: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from farebox.shapes import given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionFields:
    """Days, 0 = for good. Of both modes."""

    audit_kept_days: int
    tags_kept_days: int
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Retention:
    """The resource retention, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self) -> RetentionFields:
        """Read for how long things are kept."""
        ask = Ask("GET", "/api/v1/retention")
        return cast("RetentionFields", self._sender.call(ask, RetentionFields))

    def put(self, *, audit_kept_days: int, tags_kept_days: int) -> RetentionFields:
        """Say for how long things are kept; what is older goes with the next night."""
        ask = Ask(
            "PUT",
            "/api/v1/retention",
            body=given(audit_kept_days=audit_kept_days, tags_kept_days=tags_kept_days),
        )
        return cast("RetentionFields", self._sender.call(ask, RetentionFields))


class AsyncRetention:
    """The resource retention, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self) -> RetentionFields:
        """Read for how long things are kept."""
        ask = Ask("GET", "/api/v1/retention")
        return cast("RetentionFields", await self._sender.call(ask, RetentionFields))

    async def put(self, *, audit_kept_days: int, tags_kept_days: int) -> RetentionFields:
        """Say for how long things are kept; what is older goes with the next night."""
        ask = Ask(
            "PUT",
            "/api/v1/retention",
            body=given(audit_kept_days=audit_kept_days, tags_kept_days=tags_kept_days),
        )
        return cast("RetentionFields", await self._sender.call(ask, RetentionFields))
