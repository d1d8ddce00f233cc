"""billing_customer_maps: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class MapImportOut:
    """What became of every line that names a Stripe customer."""

    mapped: int
    unchanged: int
    failed: int
    lines: tuple[MappedLineOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOut:
    """A customer's counterpart at Stripe, as last read there."""

    customer: str
    external_id: str
    mode: str
    state: Literal["mapped", "unmapped", "no_subscription", "deleted"]
    stripe_customer_id: str
    subscription_id: str
    subscription_item_id: str
    subscription_status: str
    currency: str
    period_start: datetime | None
    period_end: datetime | None
    checked_at: datetime | None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedLineOut:
    """What became of one line; the header is line 1."""

    line: int
    external_id: str
    outcome: Literal["mapped", "unchanged", "failed"]
    state: str
    error: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedOut:
    """The customers that were found by what Stripe's customers carry."""

    matched: int
    maps: tuple[MapOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingCustomerMaps:
    """The resource billing_customer_maps, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(
        self, *, state: Literal["deleted", "mapped", "no_subscription", "unmapped"] | Unset = UNSET
    ) -> Iterator[MapOut]:
        """List customers, newest first, mapped or not; ``state=unmapped`` are those whose usage waits."""
        ask = Ask("GET", "/api/v1/billing/customer-maps", query=given(state=state))
        return self._sender.pages(ask, MapOut)

    def export(self) -> str:
        """All customers with who they are at Stripe, in the columns that the import takes and a few more."""
        ask = Ask("GET", "/api/v1/billing/customer-maps/export")
        return cast("str", self._sender.call(ask, str))

    def import_(self, *, csv: str | Unset = UNSET, idempotency_key: str | None = None) -> MapImportOut:
        """Map a customer per line: external_id, stripe_customer_id. Each is checked at Stripe."""
        ask = Ask(
            "POST",
            "/api/v1/billing/customer-maps/import",
            body=given(csv=csv),
            idempotency_key=idempotency_key,
        )
        return cast("MapImportOut", self._sender.call(ask, MapImportOut))

    def match(self, *, idempotency_key: str | None = None) -> MatchedOut:
        """Map every unmapped customer whose external id a Stripe customer carries as ``farebox_external_id``."""
        ask = Ask("POST", "/api/v1/billing/customer-maps/match", idempotency_key=idempotency_key)
        return cast("MatchedOut", self._sender.call(ask, MatchedOut))

    def get(self, customer_id: str) -> MapOut:
        """Read who a customer is at Stripe, as last read there."""
        ask = Ask("GET", f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}")
        return cast("MapOut", self._sender.call(ask, MapOut))

    def set(
        self,
        customer_id: str,
        *,
        stripe_customer_id: str | Unset = UNSET,
        new: bool | Unset = UNSET,
        email: str | Unset = UNSET,
    ) -> MapOut:
        """Say who a customer is at Stripe, or make the customer there; usage that waited goes on."""
        ask = Ask(
            "PUT",
            f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}",
            body=given(stripe_customer_id=stripe_customer_id, new=new, email=email),
        )
        return cast("MapOut", self._sender.call(ask, MapOut))

    def delete(self, customer_id: str) -> MapOut:
        """Take a mapping away; the customer's usage waits from now on."""
        ask = Ask("DELETE", f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}")
        return cast("MapOut", self._sender.call(ask, MapOut))

    def refresh(self, customer_id: str, *, idempotency_key: str | None = None) -> MapOut:
        """Read the customer and its subscriptions at Stripe again."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}/refresh",
            idempotency_key=idempotency_key,
        )
        return cast("MapOut", self._sender.call(ask, MapOut))

    def subscribe(
        self,
        customer_id: str,
        *,
        currency: str | Unset = UNSET,
        line: str | Unset = UNSET,
        subscription_id: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> MapOut:
        """Put a mapped customer on a meter's price: on a subscription it has, or on one of its own."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}/subscribe",
            body=given(currency=currency, line=line, subscription_id=subscription_id),
            idempotency_key=idempotency_key,
        )
        return cast("MapOut", self._sender.call(ask, MapOut))


class AsyncBillingCustomerMaps:
    """The resource billing_customer_maps, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self, *, state: Literal["deleted", "mapped", "no_subscription", "unmapped"] | Unset = UNSET
    ) -> AsyncIterator[MapOut]:
        """List customers, newest first, mapped or not; ``state=unmapped`` are those whose usage waits."""
        ask = Ask("GET", "/api/v1/billing/customer-maps", query=given(state=state))
        return self._sender.pages(ask, MapOut)

    async def export(self) -> str:
        """All customers with who they are at Stripe, in the columns that the import takes and a few more."""
        ask = Ask("GET", "/api/v1/billing/customer-maps/export")
        return cast("str", await self._sender.call(ask, str))

    async def import_(self, *, csv: str | Unset = UNSET, idempotency_key: str | None = None) -> MapImportOut:
        """Map a customer per line: external_id, stripe_customer_id. Each is checked at Stripe."""
        ask = Ask(
            "POST",
            "/api/v1/billing/customer-maps/import",
            body=given(csv=csv),
            idempotency_key=idempotency_key,
        )
        return cast("MapImportOut", await self._sender.call(ask, MapImportOut))

    async def match(self, *, idempotency_key: str | None = None) -> MatchedOut:
        """Map every unmapped customer whose external id a Stripe customer carries as ``farebox_external_id``."""
        ask = Ask("POST", "/api/v1/billing/customer-maps/match", idempotency_key=idempotency_key)
        return cast("MatchedOut", await self._sender.call(ask, MatchedOut))

    async def get(self, customer_id: str) -> MapOut:
        """Read who a customer is at Stripe, as last read there."""
        ask = Ask("GET", f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}")
        return cast("MapOut", await self._sender.call(ask, MapOut))

    async def set(
        self,
        customer_id: str,
        *,
        stripe_customer_id: str | Unset = UNSET,
        new: bool | Unset = UNSET,
        email: str | Unset = UNSET,
    ) -> MapOut:
        """Say who a customer is at Stripe, or make the customer there; usage that waited goes on."""
        ask = Ask(
            "PUT",
            f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}",
            body=given(stripe_customer_id=stripe_customer_id, new=new, email=email),
        )
        return cast("MapOut", await self._sender.call(ask, MapOut))

    async def delete(self, customer_id: str) -> MapOut:
        """Take a mapping away; the customer's usage waits from now on."""
        ask = Ask("DELETE", f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}")
        return cast("MapOut", await self._sender.call(ask, MapOut))

    async def refresh(self, customer_id: str, *, idempotency_key: str | None = None) -> MapOut:
        """Read the customer and its subscriptions at Stripe again."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}/refresh",
            idempotency_key=idempotency_key,
        )
        return cast("MapOut", await self._sender.call(ask, MapOut))

    async def subscribe(
        self,
        customer_id: str,
        *,
        currency: str | Unset = UNSET,
        line: str | Unset = UNSET,
        subscription_id: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> MapOut:
        """Put a mapped customer on a meter's price: on a subscription it has, or on one of its own."""
        ask = Ask(
            "POST",
            f"/api/v1/billing/customer-maps/{quote(customer_id, safe='')}/subscribe",
            body=given(currency=currency, line=line, subscription_id=subscription_id),
            idempotency_key=idempotency_key,
        )
        return cast("MapOut", await self._sender.call(ask, MapOut))
