"""billing_reconciliation: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.resources.shared import PushOut
from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconOut:
    """One hour of a customer on a meter, as books, pushes and Stripe say."""

    id: str
    hour: datetime
    customer: str
    meter: str
    ledger_usd: Decimal
    pushed_units: int
    doubtful_units: int
    stripe_units: str
    state: Literal["ok", "lagging", "missing", "excess", "foreign"]
    why: str | None
    fixable_units: int | None
    fixed_by: str | None
    since: datetime
    checked_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingReconciliation:
    """The resource billing_reconciliation, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(
        self, *, customer: str | Unset = UNSET, day: str | Unset = UNSET, state: str | Unset = UNSET
    ) -> Iterator[ReconOut]:
        """List compared hours, newest first; ``state=differing`` for what does not agree."""
        ask = Ask(
            "GET", "/api/v1/billing/reconciliation", query=given(customer=customer, day=day, state=state)
        )
        return self._sender.pages(ask, ReconOut)

    def export(
        self, *, customer: str | Unset = UNSET, day: str | Unset = UNSET, state: str | Unset = UNSET
    ) -> str:
        """Download compared hours as CSV, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/billing/reconciliation/export",
            query=given(customer=customer, day=day, state=state),
        )
        return cast("str", self._sender.call(ask, str))

    def fix(self, recon_id: str, *, units: int, idempotency_key: str | None = None) -> PushOut:
        """Push the difference of an hour back, in the open period. Never done by itself."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/reconciliation/{quote(recon_id, safe='')}/fix",
            body=given(units=units),
            idempotency_key=idempotency_key,
        )
        return cast("PushOut", self._sender.call(ask, PushOut))


class AsyncBillingReconciliation:
    """The resource billing_reconciliation, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self, *, customer: str | Unset = UNSET, day: str | Unset = UNSET, state: str | Unset = UNSET
    ) -> AsyncIterator[ReconOut]:
        """List compared hours, newest first; ``state=differing`` for what does not agree."""
        ask = Ask(
            "GET", "/api/v1/billing/reconciliation", query=given(customer=customer, day=day, state=state)
        )
        return self._sender.pages(ask, ReconOut)

    async def export(
        self, *, customer: str | Unset = UNSET, day: str | Unset = UNSET, state: str | Unset = UNSET
    ) -> str:
        """Download compared hours as CSV, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/billing/reconciliation/export",
            query=given(customer=customer, day=day, state=state),
        )
        return cast("str", await self._sender.call(ask, str))

    async def fix(self, recon_id: str, *, units: int, idempotency_key: str | None = None) -> PushOut:
        """Push the difference of an hour back, in the open period. Never done by itself."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/reconciliation/{quote(recon_id, safe='')}/fix",
            body=given(units=units),
            idempotency_key=idempotency_key,
        )
        return cast("PushOut", await self._sender.call(ask, PushOut))
