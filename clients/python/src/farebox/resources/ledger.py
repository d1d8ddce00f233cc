"""ledger: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.resources.shared import QuoteOut
from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRowOut:
    """One ledger row, the call it is about, and what was booked to correct it."""

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
    request_id: str
    customer: str | None
    key: str
    run: str | None
    corrections: tuple[str, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionOut:
    """What became of one row. ``correction`` is the event that corrects it, by this request or before it."""

    event: str
    outcome: Literal["resolved", "already_resolved", "not_unresolved", "not_found", "unavailable"]
    correction: str | None
    cost_usd: Decimal | None
    charge_usd: Decimal | None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionsOut:
    """What became of each row, in the order they were sent."""

    resolved: int
    failed: int
    items: tuple[ResolutionOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Ledger:
    """The resource ledger, sync."""

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
        resolved: bool | Unset = UNSET,
        run: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> Iterator[LedgerRowOut]:
        """List ledger rows, newest first. ``basis=unresolved&resolved=false`` is what waits for somebody's word."""
        ask = Ask(
            "GET",
            "/api/v1/ledger",
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
                resolved=resolved,
                run=run,
                to=to,
            ),
        )
        return self._sender.pages(ask, LedgerRowOut)

    def resolve_many(
        self, *, reason: str, items: Sequence[Mapping[str, Any]], idempotency_key: str | None = None
    ) -> ResolutionsOut:
        """Say what up to 500 unresolved calls really cost. Each row stands alone and has an outcome of its own."""
        ask = Ask(
            "POST",
            "/api/v1/ledger/resolve",
            body=given(reason=reason, items=items),
            idempotency_key=idempotency_key,
        )
        return cast("ResolutionsOut", self._sender.call(ask, ResolutionsOut))

    def resolve(
        self,
        event_id: str,
        *,
        as_: Literal["cost", "nothing"],
        reason: str,
        cost_usd: Decimal | str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> ResolutionOut:
        """Say what an unresolved call really cost. The row stays; a correction is in the books within seconds."""
        ask = Ask(
            "POST",
            f"/api/v1/ledger/{quote(event_id, safe='')}/resolve",
            body=given(as_=as_, cost_usd=cost_usd, reason=reason),
            idempotency_key=idempotency_key,
        )
        return cast("ResolutionOut", self._sender.call(ask, ResolutionOut))


class AsyncLedger:
    """The resource ledger, async."""

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
        resolved: bool | Unset = UNSET,
        run: str | Unset = UNSET,
        to: datetime | Unset = UNSET,
    ) -> AsyncIterator[LedgerRowOut]:
        """List ledger rows, newest first. ``basis=unresolved&resolved=false`` is what waits for somebody's word."""
        ask = Ask(
            "GET",
            "/api/v1/ledger",
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
                resolved=resolved,
                run=run,
                to=to,
            ),
        )
        return self._sender.pages(ask, LedgerRowOut)

    async def resolve_many(
        self, *, reason: str, items: Sequence[Mapping[str, Any]], idempotency_key: str | None = None
    ) -> ResolutionsOut:
        """Say what up to 500 unresolved calls really cost. Each row stands alone and has an outcome of its own."""
        ask = Ask(
            "POST",
            "/api/v1/ledger/resolve",
            body=given(reason=reason, items=items),
            idempotency_key=idempotency_key,
        )
        return cast("ResolutionsOut", await self._sender.call(ask, ResolutionsOut))

    async def resolve(
        self,
        event_id: str,
        *,
        as_: Literal["cost", "nothing"],
        reason: str,
        cost_usd: Decimal | str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> ResolutionOut:
        """Say what an unresolved call really cost. The row stays; a correction is in the books within seconds."""
        ask = Ask(
            "POST",
            f"/api/v1/ledger/{quote(event_id, safe='')}/resolve",
            body=given(as_=as_, cost_usd=cost_usd, reason=reason),
            idempotency_key=idempotency_key,
        )
        return cast("ResolutionOut", await self._sender.call(ask, ResolutionOut))
