"""requests: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from urllib.parse import quote

from farebox.resources.shared import QuoteOut
from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOut:
    """One call with all its rows; the amounts are their sums."""

    request_id: str
    customer: str | None
    key: str
    run: str | None
    model: str
    started_at: datetime
    ended_at: datetime | None
    attempts: int
    basis: str
    tags: dict[str, str]
    cost_usd: Decimal
    charge_usd: Decimal
    rows: tuple[RowOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOut:
    """One ledger row: an attempt that reached a provider, or a correction."""

    event_id: str
    kind: str
    basis: str
    corrects: str | None
    attempt: int
    account: str
    provider: str
    dialect: str
    model: str
    response_model: str
    started_at: datetime
    ended_at: datetime | None
    booked_at: datetime
    end: str
    stream: bool
    upstream_status: int | None
    upstream_request_id: str
    quote: QuoteOut
    tokens: dict[str, int]
    extras: dict[str, int]
    price_id: str
    markup_percent: str
    markup_fixed_usd: Decimal
    cost_usd: Decimal
    charge_usd: Decimal
    budgets: tuple[dict[str, str], ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Requests:
    """The resource requests, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        account: str | Unset = UNSET,
        basis: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        key: str | Unset = UNSET,
        kind: str | Unset = UNSET,
        model: str | Unset = UNSET,
        price: str | Unset = UNSET,
        provider: str | Unset = UNSET,
        run: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> Iterator[RequestOut]:
        """List calls with their ledger rows, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/requests",
            query=given(
                account=account,
                basis=basis,
                customer=customer,
                from_=from_,
                key=key,
                kind=kind,
                model=model,
                price=price,
                provider=provider,
                run=run,
                to=to,
            ),
        )
        return self._sender.pages(ask, RequestOut)

    def get(self, request_id: str) -> RequestOut:
        """Read a call with all its rows."""
        ask = Ask("GET", f"/api/v1/requests/{quote(request_id, safe='')}")
        return cast("RequestOut", self._sender.call(ask, RequestOut))


class AsyncRequests:
    """The resource requests, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        account: str | Unset = UNSET,
        basis: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        from_: datetime | Unset = UNSET,
        key: str | Unset = UNSET,
        kind: str | Unset = UNSET,
        model: str | Unset = UNSET,
        price: str | Unset = UNSET,
        provider: str | Unset = UNSET,
        run: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> AsyncIterator[RequestOut]:
        """List calls with their ledger rows, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/requests",
            query=given(
                account=account,
                basis=basis,
                customer=customer,
                from_=from_,
                key=key,
                kind=kind,
                model=model,
                price=price,
                provider=provider,
                run=run,
                to=to,
            ),
        )
        return self._sender.pages(ask, RequestOut)

    async def get(self, request_id: str) -> RequestOut:
        """Read a call with all its rows."""
        ask = Ask("GET", f"/api/v1/requests/{quote(request_id, safe='')}")
        return cast("RequestOut", await self._sender.call(ask, RequestOut))
