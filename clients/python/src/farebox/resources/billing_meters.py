"""billing_meters: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterOut:
    """Where usage of a currency goes at Stripe, and its price."""

    id: str
    mode: str
    currency: str
    line: str
    unit_minor: int
    stripe_meter_id: str
    event_name: str
    product_id: str
    price_id: str
    adopted: bool
    status: Literal["active", "broken", "archived"]
    why: str
    created_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingMeters:
    """The resource billing_meters, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self) -> Iterator[MeterOut]:
        """List meters, newest first."""
        ask = Ask("GET", "/api/v1/billing/meters")
        return self._sender.pages(ask, MeterOut)

    def create(
        self,
        *,
        currency: str,
        line: str | Unset = UNSET,
        meter_id: str | Unset = UNSET,
        price_id: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> MeterOut:
        """Make or adopt a meter with its product and price for a currency; what is there already is used."""
        ask = Ask(
            "POST",
            "/api/v1/billing/meters",
            body=given(currency=currency, line=line, meter_id=meter_id, price_id=price_id),
            idempotency_key=idempotency_key,
        )
        return cast("MeterOut", self._sender.call(ask, MeterOut))

    def get(self, meter_id: str) -> MeterOut:
        """Read a meter."""
        ask = Ask("GET", f"/api/v1/billing/meters/{quote(meter_id, safe='')}")
        return cast("MeterOut", self._sender.call(ask, MeterOut))

    def archive(self, meter_id: str) -> MeterOut:
        """Send no more usage to a meter; at Stripe it stays as it is."""
        ask = Ask("DELETE", f"/api/v1/billing/meters/{quote(meter_id, safe='')}")
        return cast("MeterOut", self._sender.call(ask, MeterOut))


class AsyncBillingMeters:
    """The resource billing_meters, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self) -> AsyncIterator[MeterOut]:
        """List meters, newest first."""
        ask = Ask("GET", "/api/v1/billing/meters")
        return self._sender.pages(ask, MeterOut)

    async def create(
        self,
        *,
        currency: str,
        line: str | Unset = UNSET,
        meter_id: str | Unset = UNSET,
        price_id: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> MeterOut:
        """Make or adopt a meter with its product and price for a currency; what is there already is used."""
        ask = Ask(
            "POST",
            "/api/v1/billing/meters",
            body=given(currency=currency, line=line, meter_id=meter_id, price_id=price_id),
            idempotency_key=idempotency_key,
        )
        return cast("MeterOut", await self._sender.call(ask, MeterOut))

    async def get(self, meter_id: str) -> MeterOut:
        """Read a meter."""
        ask = Ask("GET", f"/api/v1/billing/meters/{quote(meter_id, safe='')}")
        return cast("MeterOut", await self._sender.call(ask, MeterOut))

    async def archive(self, meter_id: str) -> MeterOut:
        """Send no more usage to a meter; at Stripe it stays as it is."""
        ask = Ask("DELETE", f"/api/v1/billing/meters/{quote(meter_id, safe='')}")
        return cast("MeterOut", await self._sender.call(ask, MeterOut))
