"""billing_exchange_rates: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

from farebox.shapes import given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOut:
    """A dated rate; it never changes."""

    currency: str
    day: date
    rate: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingExchangeRates:
    """The resource billing_exchange_rates, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self) -> Iterator[RateOut]:
        """List exchange rates, newest day first."""
        ask = Ask("GET", "/api/v1/billing/exchange-rates")
        return self._sender.pages(ask, RateOut)

    def create(self, *, currency: str, day: date, rate: str, idempotency_key: str | None = None) -> RateOut:
        """Give a rate from a day on; it stays as it is, a later day's follows it."""
        ask = Ask(
            "POST",
            "/api/v1/billing/exchange-rates",
            body=given(currency=currency, day=day, rate=rate),
            idempotency_key=idempotency_key,
        )
        return cast("RateOut", self._sender.call(ask, RateOut))


class AsyncBillingExchangeRates:
    """The resource billing_exchange_rates, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self) -> AsyncIterator[RateOut]:
        """List exchange rates, newest day first."""
        ask = Ask("GET", "/api/v1/billing/exchange-rates")
        return self._sender.pages(ask, RateOut)

    async def create(
        self, *, currency: str, day: date, rate: str, idempotency_key: str | None = None
    ) -> RateOut:
        """Give a rate from a day on; it stays as it is, a later day's follows it."""
        ask = Ask(
            "POST",
            "/api/v1/billing/exchange-rates",
            body=given(currency=currency, day=day, rate=rate),
            idempotency_key=idempotency_key,
        )
        return cast("RateOut", await self._sender.call(ask, RateOut))
