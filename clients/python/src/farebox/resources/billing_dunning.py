"""billing_dunning: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class DunningCaseOut:
    """A subscription or dispute that is not as it should be."""

    id: str
    customer: str
    reason: Literal["past_due", "unpaid", "canceled", "disputed"]
    stripe_object: str
    opened_at: datetime
    closed_at: datetime | None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class DunningPolicyOut:
    """What follows from each reason; `nothing` is what follows where nothing was set."""

    past_due: Literal["nothing", "throttle", "cap", "suspend"]
    unpaid: Literal["nothing", "throttle", "cap", "suspend"]
    canceled: Literal["nothing", "throttle", "cap", "suspend"]
    disputed: Literal["nothing", "throttle", "cap", "suspend"]
    throttle_requests_per_minute: int
    cap_usd: Decimal
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingDunning:
    """The resource billing_dunning, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self) -> DunningPolicyOut:
        """Read what follows while a customer does not pay."""
        ask = Ask("GET", "/api/v1/billing/dunning")
        return cast("DunningPolicyOut", self._sender.call(ask, DunningPolicyOut))

    def change(
        self,
        *,
        past_due: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        unpaid: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        canceled: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        disputed: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        throttle_requests_per_minute: int | Unset = UNSET,
        cap_usd: Decimal | str | Unset = UNSET,
    ) -> DunningPolicyOut:
        """Change what follows; in force at once for customers who do not pay now."""
        ask = Ask(
            "PATCH",
            "/api/v1/billing/dunning",
            body=given(
                past_due=past_due,
                unpaid=unpaid,
                canceled=canceled,
                disputed=disputed,
                throttle_requests_per_minute=throttle_requests_per_minute,
                cap_usd=cap_usd,
            ),
        )
        return cast("DunningPolicyOut", self._sender.call(ask, DunningPolicyOut))

    def cases(self, *, customer: str | Unset = UNSET) -> Iterator[DunningCaseOut]:
        """List cases, open and closed, newest first."""
        ask = Ask("GET", "/api/v1/billing/dunning/cases", query=given(customer=customer))
        return self._sender.pages(ask, DunningCaseOut)


class AsyncBillingDunning:
    """The resource billing_dunning, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self) -> DunningPolicyOut:
        """Read what follows while a customer does not pay."""
        ask = Ask("GET", "/api/v1/billing/dunning")
        return cast("DunningPolicyOut", await self._sender.call(ask, DunningPolicyOut))

    async def change(
        self,
        *,
        past_due: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        unpaid: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        canceled: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        disputed: Literal["nothing", "throttle", "cap", "suspend"] | Unset = UNSET,
        throttle_requests_per_minute: int | Unset = UNSET,
        cap_usd: Decimal | str | Unset = UNSET,
    ) -> DunningPolicyOut:
        """Change what follows; in force at once for customers who do not pay now."""
        ask = Ask(
            "PATCH",
            "/api/v1/billing/dunning",
            body=given(
                past_due=past_due,
                unpaid=unpaid,
                canceled=canceled,
                disputed=disputed,
                throttle_requests_per_minute=throttle_requests_per_minute,
                cap_usd=cap_usd,
            ),
        )
        return cast("DunningPolicyOut", await self._sender.call(ask, DunningPolicyOut))

    def cases(self, *, customer: str | Unset = UNSET) -> AsyncIterator[DunningCaseOut]:
        """List cases, open and closed, newest first."""
        ask = Ask("GET", "/api/v1/billing/dunning/cases", query=given(customer=customer))
        return self._sender.pages(ask, DunningCaseOut)
