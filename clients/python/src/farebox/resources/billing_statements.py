"""billing_statements: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionLineOut:
    """A later truth about a call, billed at its own instant; with the call itself where that was unresolved."""

    at: datetime
    event_id: str
    corrects: str
    request_id: str
    model: str
    charge_usd: Decimal
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodOut:
    """The span a statement covers; ``preview`` while it is running."""

    key: str
    start: datetime
    end: datetime
    is_subscription: bool
    preview: bool
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementOrTotals:
    """StatementOrTotals"""

    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementOut:
    """What one customer is billed for one period; the total is the sum of lines and corrections."""

    customer: str
    external_id: str
    period: PeriodOut
    usage: tuple[UsageLineOut, ...]
    corrections: tuple[CorrectionLineOut, ...]
    correction_count: int
    usage_usd: Decimal
    corrections_usd: Decimal
    total_usd: Decimal
    unresolved: UnresolvedOut
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementTotalOut:
    """One customer's statement in a line."""

    customer: str
    external_id: str
    period: PeriodOut
    total_usd: Decimal
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPriceOut:
    """What a million tokens of a bucket are charged at; with tiers, long prompts at another rate."""

    bucket: str
    usd_per_mtok: str
    has_tiers: bool
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedOut:
    """Calls of the period whose charge nobody knows yet: not in the total."""

    calls: int
    held_usd: Decimal
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLineOut:
    """All calls of one model and account at one price and markup."""

    model: str
    provider: str
    account: str
    account_name: str
    price_id: str
    markup_percent: str
    usd_per_call: Decimal
    calls: int
    tokens: dict[str, int]
    extras: dict[str, int]
    unit_prices: tuple[UnitPriceOut, ...]
    charge_usd: Decimal
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingStatements:
    """The resource billing_statements, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def read(self, *, customer: str | Unset = UNSET, period: str | Unset = UNSET) -> StatementOrTotals:
        """Read one customer's statement of a period, or the totals of all customers, newest customer first."""
        ask = Ask("GET", "/api/v1/billing/statements", query=given(customer=customer, period=period))
        return cast("StatementOrTotals", self._sender.call(ask, StatementOrTotals))

    def export(self, customer_id: str, *, period: str | Unset = UNSET) -> str:
        """Download a customer's statement as CSV, with every correction."""
        ask = Ask(
            "GET",
            f"/api/v1/billing/statements/{quote(customer_id, safe='')}/export",
            query=given(period=period),
        )
        return cast("str", self._sender.call(ask, str))


class AsyncBillingStatements:
    """The resource billing_statements, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def read(self, *, customer: str | Unset = UNSET, period: str | Unset = UNSET) -> StatementOrTotals:
        """Read one customer's statement of a period, or the totals of all customers, newest customer first."""
        ask = Ask("GET", "/api/v1/billing/statements", query=given(customer=customer, period=period))
        return cast("StatementOrTotals", await self._sender.call(ask, StatementOrTotals))

    async def export(self, customer_id: str, *, period: str | Unset = UNSET) -> str:
        """Download a customer's statement as CSV, with every correction."""
        ask = Ask(
            "GET",
            f"/api/v1/billing/statements/{quote(customer_id, safe='')}/export",
            query=given(period=period),
        )
        return cast("str", await self._sender.call(ask, str))
