"""billing_pushes: written by generate.py from the OpenAPI schema."""

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
class AttemptOut:
    """One try to hand a push over."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    verdict: str
    code: str
    reason: str
    detail: str
    status: int | None
    sink_request_id: str
    key_last4: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class PushDetailOut:
    """One push with every try."""

    id: str
    state: Literal[
        "pending",
        "inflight",
        "accepted",
        "confirmed",
        "retry",
        "ambiguous",
        "held",
        "rejected",
        "failed",
        "void",
    ]
    reason: str | None
    next_step: str
    can_retry: bool
    sink: str
    identifier: str
    customer: str
    stripe_customer: str | None
    line: str
    currency: str
    unit_minor: int
    value_units: int
    amount: str
    charge_usd: Decimal
    calls: int
    bucket_start: datetime
    bucket_end: datetime
    stamp_at: datetime
    late_from: datetime | None
    replaces: str | None
    attempts: int
    first_attempt_at: datetime | None
    due_at: datetime | None
    accepted_at: datetime | None
    confirmed_at: datetime | None
    created_at: datetime
    tries: tuple[AttemptOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSummaryOut:
    """How much stands where."""

    states: dict[str, int]
    unsealed: tuple[WaitingOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOut:
    """Usage of hours that are over and in no push."""

    customer: str | None
    since: datetime
    charge_usd: Decimal
    calls: int
    reason: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingPushes:
    """The resource billing_pushes, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        currency: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        line: str | Unset = UNSET,
        state: str | Unset = UNSET,
        why: str | Unset = UNSET,
    ) -> Iterator[PushOut]:
        """List pushes, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/billing/pushes",
            query=given(currency=currency, customer=customer, line=line, state=state, why=why),
        )
        return self._sender.pages(ask, PushOut)

    def export(
        self,
        *,
        currency: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        line: str | Unset = UNSET,
        state: str | Unset = UNSET,
        why: str | Unset = UNSET,
    ) -> str:
        """Download pushes as CSV, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/billing/pushes/export",
            query=given(currency=currency, customer=customer, line=line, state=state, why=why),
        )
        return cast("str", self._sender.call(ask, str))

    def summary(self) -> PushSummaryOut:
        """Count pushes by state, and say what is not sealed and why."""
        ask = Ask("GET", "/api/v1/billing/pushes/summary")
        return cast("PushSummaryOut", self._sender.call(ask, PushSummaryOut))

    def get(self, push_id: str) -> PushDetailOut:
        """Read a push with every try."""
        ask = Ask("GET", f"/api/v1/billing/pushes/{quote(push_id, safe='')}")
        return cast("PushDetailOut", self._sender.call(ask, PushDetailOut))

    def retry(self, push_id: str, *, idempotency_key: str | None = None) -> PushOut:
        """Try a push again now, under its own identifier: refused where it could bill twice."""
        ask = Ask(
            "POST", f"/api/v1/billing/pushes/{quote(push_id, safe='')}/retry", idempotency_key=idempotency_key
        )
        return cast("PushOut", self._sender.call(ask, PushOut))


class AsyncBillingPushes:
    """The resource billing_pushes, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        currency: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        line: str | Unset = UNSET,
        state: str | Unset = UNSET,
        why: str | Unset = UNSET,
    ) -> AsyncIterator[PushOut]:
        """List pushes, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/billing/pushes",
            query=given(currency=currency, customer=customer, line=line, state=state, why=why),
        )
        return self._sender.pages(ask, PushOut)

    async def export(
        self,
        *,
        currency: str | Unset = UNSET,
        customer: str | Unset = UNSET,
        line: str | Unset = UNSET,
        state: str | Unset = UNSET,
        why: str | Unset = UNSET,
    ) -> str:
        """Download pushes as CSV, newest first."""
        ask = Ask(
            "GET",
            "/api/v1/billing/pushes/export",
            query=given(currency=currency, customer=customer, line=line, state=state, why=why),
        )
        return cast("str", await self._sender.call(ask, str))

    async def summary(self) -> PushSummaryOut:
        """Count pushes by state, and say what is not sealed and why."""
        ask = Ask("GET", "/api/v1/billing/pushes/summary")
        return cast("PushSummaryOut", await self._sender.call(ask, PushSummaryOut))

    async def get(self, push_id: str) -> PushDetailOut:
        """Read a push with every try."""
        ask = Ask("GET", f"/api/v1/billing/pushes/{quote(push_id, safe='')}")
        return cast("PushDetailOut", await self._sender.call(ask, PushDetailOut))

    async def retry(self, push_id: str, *, idempotency_key: str | None = None) -> PushOut:
        """Try a push again now, under its own identifier: refused where it could bill twice."""
        ask = Ask(
            "POST", f"/api/v1/billing/pushes/{quote(push_id, safe='')}/retry", idempotency_key=idempotency_key
        )
        return cast("PushOut", await self._sender.call(ask, PushOut))
