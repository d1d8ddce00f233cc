"""audit_log: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOut:
    """Who changed what, from what to what, when."""

    id: str
    mode: str
    actor_kind: str
    actor_id: str
    actor_name: str
    action: str
    object_kind: str
    object_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str
    at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class AuditLog:
    """The resource audit_log, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        action: str | Unset = UNSET,
        actor_id: str | Unset = UNSET,
        actor_kind: str | Unset = UNSET,
        address: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        object_id: str | Unset = UNSET,
        object_kind: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> Iterator[AuditOut]:
        """List audit entries, newest first. ``action=key.`` takes every action on keys."""
        ask = Ask(
            "GET",
            "/api/v1/audit-log",
            query=given(
                action=action,
                actor_id=actor_id,
                actor_kind=actor_kind,
                address=address,
                from_=from_,
                object_id=object_id,
                object_kind=object_kind,
                to=to,
            ),
        )
        return self._sender.pages(ask, AuditOut)

    def export(
        self,
        *,
        action: str | Unset = UNSET,
        actor_id: str | Unset = UNSET,
        actor_kind: str | Unset = UNSET,
        address: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        object_id: str | Unset = UNSET,
        object_kind: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> str:
        """Download audit entries as CSV, newest first; the download is an entry itself."""
        ask = Ask(
            "GET",
            "/api/v1/audit-log/export",
            query=given(
                action=action,
                actor_id=actor_id,
                actor_kind=actor_kind,
                address=address,
                from_=from_,
                object_id=object_id,
                object_kind=object_kind,
                to=to,
            ),
        )
        return cast("str", self._sender.call(ask, str))


class AsyncAuditLog:
    """The resource audit_log, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        action: str | Unset = UNSET,
        actor_id: str | Unset = UNSET,
        actor_kind: str | Unset = UNSET,
        address: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        object_id: str | Unset = UNSET,
        object_kind: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> AsyncIterator[AuditOut]:
        """List audit entries, newest first. ``action=key.`` takes every action on keys."""
        ask = Ask(
            "GET",
            "/api/v1/audit-log",
            query=given(
                action=action,
                actor_id=actor_id,
                actor_kind=actor_kind,
                address=address,
                from_=from_,
                object_id=object_id,
                object_kind=object_kind,
                to=to,
            ),
        )
        return self._sender.pages(ask, AuditOut)

    async def export(
        self,
        *,
        action: str | Unset = UNSET,
        actor_id: str | Unset = UNSET,
        actor_kind: str | Unset = UNSET,
        address: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        object_id: str | Unset = UNSET,
        object_kind: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> str:
        """Download audit entries as CSV, newest first; the download is an entry itself."""
        ask = Ask(
            "GET",
            "/api/v1/audit-log/export",
            query=given(
                action=action,
                actor_id=actor_id,
                actor_kind=actor_kind,
                address=address,
                from_=from_,
                object_id=object_id,
                object_kind=object_kind,
                to=to,
            ),
        )
        return cast("str", await self._sender.call(ask, str))
