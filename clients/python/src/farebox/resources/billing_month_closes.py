"""billing_month_closes: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOut:
    """A month that was closed for good."""

    month: str
    closed_at: datetime
    charge_usd: Decimal
    figures: Any
    differences: Any
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingMonthCloses:
    """The resource billing_month_closes, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self) -> Iterator[CloseOut]:
        """List closed months with what did not add up then, newest first."""
        ask = Ask("GET", "/api/v1/billing/month-closes")
        return self._sender.pages(ask, CloseOut)


class AsyncBillingMonthCloses:
    """The resource billing_month_closes, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self) -> AsyncIterator[CloseOut]:
        """List closed months with what did not add up then, newest first."""
        ask = Ask("GET", "/api/v1/billing/month-closes")
        return self._sender.pages(ask, CloseOut)
