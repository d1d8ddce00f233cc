"""budgets: written by generate.py from the OpenAPI schema."""

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
class BudgetOut:
    """A budget with its balance; amounts are null while Redis cannot tell them (``balance`` says why)."""

    id: str
    scope: Literal["tenant", "customer", "key", "run", "tag", "model"]
    customer: str | None
    key: str | None
    mode: str
    name: str
    limit_usd: Decimal
    spent_usd: Decimal | None
    held_usd: Decimal | None
    available_usd: Decimal | None
    balance: Literal["live", "not_loaded", "unavailable"]
    measure: Literal["cost", "charge"]
    on_exhaustion: Literal["refuse", "clamp", "grow"]
    count_so_far: bool
    window: WindowOut
    state: Literal["active", "archived"]
    pending: bool
    created_at: datetime
    updated_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOut:
    """The window that is running; a ``total`` one has no end."""

    kind: Literal["day", "week", "month", "anniversary", "total"]
    zone: str
    anchor_day: int
    start: datetime | None
    end: datetime | None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Budgets:
    """The resource budgets, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        customer: str | Unset = UNSET,
        key: str | Unset = UNSET,
        scope: str | Unset = UNSET,
        state: Literal["active", "all", "archived"] | Unset = UNSET,
    ) -> Iterator[BudgetOut]:
        """List budgets with their balances, newest first."""
        ask = Ask("GET", "/api/v1/budgets", query=given(customer=customer, key=key, scope=scope, state=state))
        return self._sender.pages(ask, BudgetOut)

    def create(
        self,
        *,
        limit_usd: Decimal | str,
        customer: str | Unset | None = UNSET,
        key: str | Unset | None = UNSET,
        scope: Literal["tenant", "customer", "key"] | Unset = UNSET,
        name: str | Unset = UNSET,
        window: Literal["day", "week", "month", "anniversary", "total"] | Unset = UNSET,
        zone: str | Unset | None = UNSET,
        anchor_day: int | Unset = UNSET,
        measure: Literal["cost", "charge"] | Unset | None = UNSET,
        on_exhaustion: Literal["refuse", "clamp", "grow"] | Unset = UNSET,
        count_so_far: bool | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> BudgetOut:
        """Make a budget. It counts from now, or with ``count_so_far`` from the start of the window that is running."""
        ask = Ask(
            "POST",
            "/api/v1/budgets",
            body=given(
                customer=customer,
                key=key,
                scope=scope,
                name=name,
                limit_usd=limit_usd,
                window=window,
                zone=zone,
                anchor_day=anchor_day,
                measure=measure,
                on_exhaustion=on_exhaustion,
                count_so_far=count_so_far,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("BudgetOut", self._sender.call(ask, BudgetOut))

    def get(self, budget_id: str) -> BudgetOut:
        """Read a budget with its balance."""
        ask = Ask("GET", f"/api/v1/budgets/{quote(budget_id, safe='')}")
        return cast("BudgetOut", self._sender.call(ask, BudgetOut))

    def change(
        self,
        budget_id: str,
        *,
        limit_usd: Decimal | str | Unset = UNSET,
        name: str | Unset = UNSET,
        on_exhaustion: Literal["refuse", "clamp", "grow"] | Unset = UNSET,
    ) -> BudgetOut:
        """Change a budget; a limit is in force for the next request. Below spent + held it refuses until it fits."""
        ask = Ask(
            "PATCH",
            f"/api/v1/budgets/{quote(budget_id, safe='')}",
            body=given(limit_usd=limit_usd, name=name, on_exhaustion=on_exhaustion),
        )
        return cast("BudgetOut", self._sender.call(ask, BudgetOut))

    def archive(self, budget_id: str) -> BudgetOut:
        """Archive a budget: no further call draws on it, its history stays."""
        ask = Ask("DELETE", f"/api/v1/budgets/{quote(budget_id, safe='')}")
        return cast("BudgetOut", self._sender.call(ask, BudgetOut))


class AsyncBudgets:
    """The resource budgets, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self,
        *,
        customer: str | Unset = UNSET,
        key: str | Unset = UNSET,
        scope: str | Unset = UNSET,
        state: Literal["active", "all", "archived"] | Unset = UNSET,
    ) -> AsyncIterator[BudgetOut]:
        """List budgets with their balances, newest first."""
        ask = Ask("GET", "/api/v1/budgets", query=given(customer=customer, key=key, scope=scope, state=state))
        return self._sender.pages(ask, BudgetOut)

    async def create(
        self,
        *,
        limit_usd: Decimal | str,
        customer: str | Unset | None = UNSET,
        key: str | Unset | None = UNSET,
        scope: Literal["tenant", "customer", "key"] | Unset = UNSET,
        name: str | Unset = UNSET,
        window: Literal["day", "week", "month", "anniversary", "total"] | Unset = UNSET,
        zone: str | Unset | None = UNSET,
        anchor_day: int | Unset = UNSET,
        measure: Literal["cost", "charge"] | Unset | None = UNSET,
        on_exhaustion: Literal["refuse", "clamp", "grow"] | Unset = UNSET,
        count_so_far: bool | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> BudgetOut:
        """Make a budget. It counts from now, or with ``count_so_far`` from the start of the window that is running."""
        ask = Ask(
            "POST",
            "/api/v1/budgets",
            body=given(
                customer=customer,
                key=key,
                scope=scope,
                name=name,
                limit_usd=limit_usd,
                window=window,
                zone=zone,
                anchor_day=anchor_day,
                measure=measure,
                on_exhaustion=on_exhaustion,
                count_so_far=count_so_far,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("BudgetOut", await self._sender.call(ask, BudgetOut))

    async def get(self, budget_id: str) -> BudgetOut:
        """Read a budget with its balance."""
        ask = Ask("GET", f"/api/v1/budgets/{quote(budget_id, safe='')}")
        return cast("BudgetOut", await self._sender.call(ask, BudgetOut))

    async def change(
        self,
        budget_id: str,
        *,
        limit_usd: Decimal | str | Unset = UNSET,
        name: str | Unset = UNSET,
        on_exhaustion: Literal["refuse", "clamp", "grow"] | Unset = UNSET,
    ) -> BudgetOut:
        """Change a budget; a limit is in force for the next request. Below spent + held it refuses until it fits."""
        ask = Ask(
            "PATCH",
            f"/api/v1/budgets/{quote(budget_id, safe='')}",
            body=given(limit_usd=limit_usd, name=name, on_exhaustion=on_exhaustion),
        )
        return cast("BudgetOut", await self._sender.call(ask, BudgetOut))

    async def archive(self, budget_id: str) -> BudgetOut:
        """Archive a budget: no further call draws on it, its history stays."""
        ask = Ask("DELETE", f"/api/v1/budgets/{quote(budget_id, safe='')}")
        return cast("BudgetOut", await self._sender.call(ask, BudgetOut))
