"""margin: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginGroupOut:
    """One group; the dimensions asked for stand beside these fields under their own names."""

    start: datetime | None
    attempts: int
    cost_usd: Decimal
    charge_usd: Decimal
    margin_usd: Decimal
    margin_percent: str | None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Margin:
    """The resource margin, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def read(
        self,
        *,
        account: str | Unset = UNSET,
        basis: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        group_by: str | Unset = UNSET,
        interval: Literal["day", "hour", "month"] | Unset = UNSET,
        key: str | Unset = UNSET,
        kind: str | Unset = UNSET,
        model: str | Unset = UNSET,
        provider: str | Unset = UNSET,
        tag_set: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
        zone: str | Unset = UNSET,
    ) -> Iterator[MarginGroupOut]:
        """Read charge less cost by groups, the greatest loss first."""
        ask = Ask(
            "GET",
            "/api/v1/margin",
            query=given(
                account=account,
                basis=basis,
                customer=customer,
                from_=from_,
                group_by=group_by,
                interval=interval,
                key=key,
                kind=kind,
                model=model,
                provider=provider,
                tag_set=tag_set,
                to=to,
                zone=zone,
            ),
        )
        return self._sender.pages(ask, MarginGroupOut)


class AsyncMargin:
    """The resource margin, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def read(
        self,
        *,
        account: str | Unset = UNSET,
        basis: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        group_by: str | Unset = UNSET,
        interval: Literal["day", "hour", "month"] | Unset = UNSET,
        key: str | Unset = UNSET,
        kind: str | Unset = UNSET,
        model: str | Unset = UNSET,
        provider: str | Unset = UNSET,
        tag_set: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
        zone: str | Unset = UNSET,
    ) -> AsyncIterator[MarginGroupOut]:
        """Read charge less cost by groups, the greatest loss first."""
        ask = Ask(
            "GET",
            "/api/v1/margin",
            query=given(
                account=account,
                basis=basis,
                customer=customer,
                from_=from_,
                group_by=group_by,
                interval=interval,
                key=key,
                kind=kind,
                model=model,
                provider=provider,
                tag_set=tag_set,
                to=to,
                zone=zone,
            ),
        )
        return self._sender.pages(ask, MarginGroupOut)
