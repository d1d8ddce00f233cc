"""holds: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDrawOut:
    """A budget that a hold draws on, in one of its windows."""

    budget: str
    window: str
    measure: Literal["cost", "charge"]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEndedOut:
    """A hold and how it was ended."""

    id: str
    state: Literal["reserved", "dispatched", "settled", "released", "expired"]
    is_overdue: bool
    by_api: bool | None
    request_id: str
    customer: str | None
    key: str | None
    provider: str | None
    model: str | None
    run: str | None
    held_cost_usd: Decimal
    held_charge_usd: Decimal
    cost_usd: Decimal | None
    charge_usd: Decimal | None
    output_cap: int
    created_at: datetime
    age_seconds: int
    deadline: datetime
    ended_at: datetime | None
    budgets: tuple[HoldDrawOut, ...]
    outcome: Literal["settled", "corrected", "released", "given_up"]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldGrantedOut:
    """A fresh hold: send the call with no more output than ``output_cap`` says."""

    id: str
    state: Literal["reserved", "dispatched", "settled", "released", "expired"]
    is_overdue: bool
    by_api: bool | None
    request_id: str
    customer: str | None
    key: str | None
    provider: str | None
    model: str | None
    run: str | None
    held_cost_usd: Decimal
    held_charge_usd: Decimal
    cost_usd: Decimal | None
    charge_usd: Decimal | None
    output_cap: int
    created_at: datetime
    age_seconds: int
    deadline: datetime
    ended_at: datetime | None
    budgets: tuple[HoldDrawOut, ...]
    account: str
    price: str
    input_tokens_max: int
    bound_class: Literal["exact", "hard", "empirical"]
    is_clamped: bool
    remaining_usd: Decimal
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut:
    """A hold. What it is for (``customer`` to ``run``) is told while it is open; its ledger row tells it afterwards."""

    id: str
    state: Literal["reserved", "dispatched", "settled", "released", "expired"]
    is_overdue: bool
    by_api: bool | None
    request_id: str
    customer: str | None
    key: str | None
    provider: str | None
    model: str | None
    run: str | None
    held_cost_usd: Decimal
    held_charge_usd: Decimal
    cost_usd: Decimal | None
    charge_usd: Decimal | None
    output_cap: int
    created_at: datetime
    age_seconds: int
    deadline: datetime
    ended_at: datetime | None
    budgets: tuple[HoldDrawOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Holds:
    """The resource holds, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self, *, limit: int | Unset = UNSET) -> Iterator[HoldOut]:
        """List open holds, newest first, with their age and whose they are."""
        ask = Ask("GET", "/api/v1/holds", query=given(limit=limit))
        return self._sender.pages(ask, HoldOut)

    def create(
        self,
        *,
        customer: str | Unset = UNSET,
        key: str | Unset = UNSET,
        model: str | Unset = UNSET,
        account: str | Unset = UNSET,
        provider: str | Unset = UNSET,
        dialect: Literal["openai", "anthropic", "gemini"] | Unset = UNSET,
        route: str | Unset = UNSET,
        body: Mapping[str, Any] | Unset = UNSET,
        input_tokens_max: int | Unset = UNSET,
        output_tokens_max: int | Unset = UNSET,
        ttl_seconds: int | Unset = UNSET,
        run: str | Unset = UNSET,
        tags: Mapping[str, str] | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> HoldGrantedOut:
        """Claim the most a call can cost before it is sent. It counts as sent at once: settle it or release it."""
        ask = Ask(
            "POST",
            "/api/v1/holds",
            body=given(
                customer=customer,
                key=key,
                model=model,
                account=account,
                provider=provider,
                dialect=dialect,
                route=route,
                body=body,
                input_tokens_max=input_tokens_max,
                output_tokens_max=output_tokens_max,
                ttl_seconds=ttl_seconds,
                run=run,
                tags=tags,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("HoldGrantedOut", self._sender.call(ask, HoldGrantedOut))

    def get(self, hold_id: str) -> HoldOut:
        """Read a hold: open, or ended up to 15 minutes ago (48 hours for an expired one)."""
        ask = Ask("GET", f"/api/v1/holds/{quote(hold_id, safe='')}")
        return cast("HoldOut", self._sender.call(ask, HoldOut))

    def extend(
        self, hold_id: str, *, ttl_seconds: int | Unset = UNSET, idempotency_key: str | None = None
    ) -> HoldOut:
        """Keep an open hold for longer: a new deadline, counted from now."""
        ask = Ask(
            "POST",
            f"/api/v1/holds/{quote(hold_id, safe='')}/extend",
            body=given(ttl_seconds=ttl_seconds),
            idempotency_key=idempotency_key,
        )
        return cast("HoldOut", self._sender.call(ask, HoldOut))

    def release(
        self, hold_id: str, *, reason: str | Unset = UNSET, idempotency_key: str | None = None
    ) -> HoldEndedOut:
        """Give a claim back: one's own that was never sent, or with a `reason` any open one by hand, audited."""
        ask = Ask(
            "POST",
            f"/api/v1/holds/{quote(hold_id, safe='')}/release",
            body=given(reason=reason),
            idempotency_key=idempotency_key,
        )
        return cast("HoldEndedOut", self._sender.call(ask, HoldEndedOut))

    def settle(
        self,
        hold_id: str,
        *,
        usage: Mapping[str, int] | Unset = UNSET,
        extras: Mapping[str, int] | Unset = UNSET,
        cost_usd: Decimal | str | Unset = UNSET,
        response_model: str | Unset = UNSET,
        upstream_request_id: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> HoldEndedOut:
        """Book what the call cost; never refused for want of money. After an expiry the books are corrected."""
        ask = Ask(
            "POST",
            f"/api/v1/holds/{quote(hold_id, safe='')}/settle",
            body=given(
                usage=usage,
                extras=extras,
                cost_usd=cost_usd,
                response_model=response_model,
                upstream_request_id=upstream_request_id,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("HoldEndedOut", self._sender.call(ask, HoldEndedOut))


class AsyncHolds:
    """The resource holds, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self, *, limit: int | Unset = UNSET) -> AsyncIterator[HoldOut]:
        """List open holds, newest first, with their age and whose they are."""
        ask = Ask("GET", "/api/v1/holds", query=given(limit=limit))
        return self._sender.pages(ask, HoldOut)

    async def create(
        self,
        *,
        customer: str | Unset = UNSET,
        key: str | Unset = UNSET,
        model: str | Unset = UNSET,
        account: str | Unset = UNSET,
        provider: str | Unset = UNSET,
        dialect: Literal["openai", "anthropic", "gemini"] | Unset = UNSET,
        route: str | Unset = UNSET,
        body: Mapping[str, Any] | Unset = UNSET,
        input_tokens_max: int | Unset = UNSET,
        output_tokens_max: int | Unset = UNSET,
        ttl_seconds: int | Unset = UNSET,
        run: str | Unset = UNSET,
        tags: Mapping[str, str] | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> HoldGrantedOut:
        """Claim the most a call can cost before it is sent. It counts as sent at once: settle it or release it."""
        ask = Ask(
            "POST",
            "/api/v1/holds",
            body=given(
                customer=customer,
                key=key,
                model=model,
                account=account,
                provider=provider,
                dialect=dialect,
                route=route,
                body=body,
                input_tokens_max=input_tokens_max,
                output_tokens_max=output_tokens_max,
                ttl_seconds=ttl_seconds,
                run=run,
                tags=tags,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("HoldGrantedOut", await self._sender.call(ask, HoldGrantedOut))

    async def get(self, hold_id: str) -> HoldOut:
        """Read a hold: open, or ended up to 15 minutes ago (48 hours for an expired one)."""
        ask = Ask("GET", f"/api/v1/holds/{quote(hold_id, safe='')}")
        return cast("HoldOut", await self._sender.call(ask, HoldOut))

    async def extend(
        self, hold_id: str, *, ttl_seconds: int | Unset = UNSET, idempotency_key: str | None = None
    ) -> HoldOut:
        """Keep an open hold for longer: a new deadline, counted from now."""
        ask = Ask(
            "POST",
            f"/api/v1/holds/{quote(hold_id, safe='')}/extend",
            body=given(ttl_seconds=ttl_seconds),
            idempotency_key=idempotency_key,
        )
        return cast("HoldOut", await self._sender.call(ask, HoldOut))

    async def release(
        self, hold_id: str, *, reason: str | Unset = UNSET, idempotency_key: str | None = None
    ) -> HoldEndedOut:
        """Give a claim back: one's own that was never sent, or with a `reason` any open one by hand, audited."""
        ask = Ask(
            "POST",
            f"/api/v1/holds/{quote(hold_id, safe='')}/release",
            body=given(reason=reason),
            idempotency_key=idempotency_key,
        )
        return cast("HoldEndedOut", await self._sender.call(ask, HoldEndedOut))

    async def settle(
        self,
        hold_id: str,
        *,
        usage: Mapping[str, int] | Unset = UNSET,
        extras: Mapping[str, int] | Unset = UNSET,
        cost_usd: Decimal | str | Unset = UNSET,
        response_model: str | Unset = UNSET,
        upstream_request_id: str | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> HoldEndedOut:
        """Book what the call cost; never refused for want of money. After an expiry the books are corrected."""
        ask = Ask(
            "POST",
            f"/api/v1/holds/{quote(hold_id, safe='')}/settle",
            body=given(
                usage=usage,
                extras=extras,
                cost_usd=cost_usd,
                response_model=response_model,
                upstream_request_id=upstream_request_id,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("HoldEndedOut", await self._sender.call(ask, HoldEndedOut))
