"""billing_prepaid: written by generate.py from the OpenAPI schema."""

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
class LinkOut:
    """A link by which a customer buys credit without an account."""

    url: str
    expires_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidEntryOut:
    """One change of a customer's credit; it never changes."""

    kind: Literal["payment", "refund", "dispute"]
    amount_usd: Decimal
    stripe_object: str
    top_up: str
    at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidOut:
    """A customer who pays first; amounts are null where enforcement could not be asked."""

    customer: str
    budget: str
    state: Literal["active", "closed"]
    credit_usd: Decimal
    spent_usd: Decimal | None
    held_usd: Decimal | None
    available_usd: Decimal | None
    created_at: datetime
    pending: bool | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingPrepaid:
    """The resource billing_prepaid, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, customer_id: str) -> PrepaidOut:
        """Read a customer's credit; 404 where it does not pay first."""
        ask = Ask("GET", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}")
        return cast("PrepaidOut", self._sender.call(ask, PrepaidOut))

    def open(self, customer_id: str, *, idempotency_key: str | None = None) -> PrepaidOut:
        """Have a customer pay first: its calls are refused until credit is bought, and its usage is not invoiced."""
        ask = Ask(
            "POST", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}", idempotency_key=idempotency_key
        )
        return cast("PrepaidOut", self._sender.call(ask, PrepaidOut))

    def close(self, customer_id: str) -> PrepaidOut:
        """End paying first: the prepaid budget limits nothing any more. It cannot be opened again."""
        ask = Ask("DELETE", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}")
        return cast("PrepaidOut", self._sender.call(ask, PrepaidOut))

    def entries(self, customer_id: str) -> Iterator[PrepaidEntryOut]:
        """List a customer's entries, newest first; their sum is its credit."""
        ask = Ask("GET", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}/entries")
        return self._sender.pages(ask, PrepaidEntryOut)

    def link(
        self, customer_id: str, *, days: int | Unset = UNSET, idempotency_key: str | None = None
    ) -> LinkOut:
        """Make a link that expires; whoever has it can pay for this customer and see its credit, nothing else."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}/link",
            body=given(days=days),
            idempotency_key=idempotency_key,
        )
        return cast("LinkOut", self._sender.call(ask, LinkOut))


class AsyncBillingPrepaid:
    """The resource billing_prepaid, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self, customer_id: str) -> PrepaidOut:
        """Read a customer's credit; 404 where it does not pay first."""
        ask = Ask("GET", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}")
        return cast("PrepaidOut", await self._sender.call(ask, PrepaidOut))

    async def open(self, customer_id: str, *, idempotency_key: str | None = None) -> PrepaidOut:
        """Have a customer pay first: its calls are refused until credit is bought, and its usage is not invoiced."""
        ask = Ask(
            "POST", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}", idempotency_key=idempotency_key
        )
        return cast("PrepaidOut", await self._sender.call(ask, PrepaidOut))

    async def close(self, customer_id: str) -> PrepaidOut:
        """End paying first: the prepaid budget limits nothing any more. It cannot be opened again."""
        ask = Ask("DELETE", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}")
        return cast("PrepaidOut", await self._sender.call(ask, PrepaidOut))

    def entries(self, customer_id: str) -> AsyncIterator[PrepaidEntryOut]:
        """List a customer's entries, newest first; their sum is its credit."""
        ask = Ask("GET", f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}/entries")
        return self._sender.pages(ask, PrepaidEntryOut)

    async def link(
        self, customer_id: str, *, days: int | Unset = UNSET, idempotency_key: str | None = None
    ) -> LinkOut:
        """Make a link that expires; whoever has it can pay for this customer and see its credit, nothing else."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/prepaid/{quote(customer_id, safe='')}/link",
            body=given(days=days),
            idempotency_key=idempotency_key,
        )
        return cast("LinkOut", await self._sender.call(ask, LinkOut))
