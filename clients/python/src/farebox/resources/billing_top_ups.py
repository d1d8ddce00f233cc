"""billing_top_ups: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpOut:
    """A page to pay on. The credit is there once ``status`` is ``paid``, and not before."""

    id: str
    customer: str
    status: Literal["opening", "open", "processing", "paid", "expired", "failed"]
    amount_usd: Decimal
    url: str
    payment_intent: str | None
    created_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingTopUps:
    """The resource billing_top_ups, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self, *, customer: str | Unset = UNSET) -> Iterator[TopUpOut]:
        """List top-ups, newest first."""
        ask = Ask("GET", "/api/v1/billing/top-ups", query=given(customer=customer))
        return self._sender.pages(ask, TopUpOut)

    def create(
        self,
        *,
        customer: str,
        amount_usd: Decimal | str,
        return_url: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> TopUpOut:
        """Open a page at Stripe on which a customer pays. Its budget rises when the payment has arrived."""
        ask = Ask(
            "POST",
            "/api/v1/billing/top-ups",
            body=given(customer=customer, amount_usd=amount_usd, return_url=return_url),
            idempotency_key=idempotency_key,
        )
        return cast("TopUpOut", self._sender.call(ask, TopUpOut))

    def get(self, top_up_id: str) -> TopUpOut:
        """Read a top-up as it was last seen at Stripe."""
        ask = Ask("GET", f"/api/v1/billing/top-ups/{quote(top_up_id, safe='')}")
        return cast("TopUpOut", self._sender.call(ask, TopUpOut))


class AsyncBillingTopUps:
    """The resource billing_top_ups, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self, *, customer: str | Unset = UNSET) -> AsyncIterator[TopUpOut]:
        """List top-ups, newest first."""
        ask = Ask("GET", "/api/v1/billing/top-ups", query=given(customer=customer))
        return self._sender.pages(ask, TopUpOut)

    async def create(
        self,
        *,
        customer: str,
        amount_usd: Decimal | str,
        return_url: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> TopUpOut:
        """Open a page at Stripe on which a customer pays. Its budget rises when the payment has arrived."""
        ask = Ask(
            "POST",
            "/api/v1/billing/top-ups",
            body=given(customer=customer, amount_usd=amount_usd, return_url=return_url),
            idempotency_key=idempotency_key,
        )
        return cast("TopUpOut", await self._sender.call(ask, TopUpOut))

    async def get(self, top_up_id: str) -> TopUpOut:
        """Read a top-up as it was last seen at Stripe."""
        ask = Ask("GET", f"/api/v1/billing/top-ups/{quote(top_up_id, safe='')}")
        return cast("TopUpOut", await self._sender.call(ask, TopUpOut))
