"""What budgets have left, as Redis has it at this moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from django.utils import timezone

from enforcement.control import Control
from enforcement.decisions import Balance
from enforcement.errors import EnforcementUnavailable
from enforcement.keys import Scope
from metering.windows import NEVER_MS, Window, window_at
from tenants.models import Budget, Outbox, TenantSettings
from tenants.policy_calls import scope_of
from tenants.projection import milliseconds
from tenants.publishing import shared_control


@dataclass(frozen=True, slots=True)
class BudgetBalance:
    """A budget's running window and what stands in it; amounts are None unless ``source`` is ``live``."""

    window: Window
    source: Literal["live", "not_loaded", "unavailable"]
    limit_nanousd: int
    spent_nanousd: int | None = None
    held_nanousd: int | None = None
    pending: bool = False

    @property
    def available_nanousd(self) -> int | None:
        """What a further call may claim; never below zero, also when a limit was lowered."""
        if self.spent_nanousd is None or self.held_nanousd is None:
            return None
        return max(0, self.limit_nanousd - self.spent_nanousd - self.held_nanousd)

    @property
    def starts_at(self) -> datetime | None:
        """The window's start; None for one that always was."""
        return datetime.fromtimestamp(self.window.start_ms / 1000, UTC) if self.window.start_ms > 0 else None

    @property
    def ends_at(self) -> datetime | None:
        """The window's end; None for one that never ends."""
        ends = self.window.end_ms < NEVER_MS
        return datetime.fromtimestamp(self.window.end_ms / 1000, UTC) if ends else None


def read_balances(budgets: Iterable[Budget], *, control: Control | None = None) -> dict[str, BudgetBalance]:
    """Read budgets' balances by id, in one round trip per tenant and mode; Redis away is said, not raised."""
    rows = list(budgets)
    pending = pending_ids(budget.pk for budget in rows)
    now_ms = milliseconds(timezone.now())
    by_scope: dict[Scope, list[Budget]] = defaultdict(list)
    for budget in rows:
        by_scope[scope_of(budget)].append(budget)
    found: dict[str, BudgetBalance] = {}
    for scope, group in by_scope.items():
        try:
            read: list[Balance | None] | None = (control or shared_control()).read_budgets(
                scope, [budget.pk for budget in group]
            )
        except EnforcementUnavailable:
            read = None
        for place, budget in enumerate(group):
            window = window_at(budget.window, now_ms)
            is_pending = budget.pk in pending
            if read is None:
                found[budget.pk] = BudgetBalance(
                    window, "unavailable", budget.limit_nanousd, pending=is_pending
                )
            else:
                found[budget.pk] = _balance_of(budget, window, read[place], is_pending=is_pending)
    return found


def pending_ids(object_ids: Iterable[str]) -> set[str]:
    """Those of the rows of which Redis has not been told the latest yet."""
    return set(Outbox.objects.filter(object_id__in=list(object_ids)).values_list("object_id", flat=True))


def is_policy_pending(settings: TenantSettings) -> bool:
    """Tell whether Redis has not been told the latest of a tenant's policy in one mode."""
    waiting = Outbox.objects.for_scope(settings.tenant, settings.mode)
    return waiting.filter(kind=Outbox.Kind.TENANT).exists()


def _balance_of(
    budget: Budget, window: Window, balance: Balance | None, *, is_pending: bool
) -> BudgetBalance:
    if balance is None:
        return BudgetBalance(window, "not_loaded", budget.limit_nanousd, pending=is_pending)
    running = next((one for one in balance.windows if one.window_id == window.window_id), None)
    return BudgetBalance(
        window,
        "live",
        budget.limit_nanousd,
        # A window that nobody has drawn on yet is not in the record: nothing is spent there.
        spent_nanousd=running.spent_nanousd if running else 0,
        held_nanousd=running.held_nanousd if running else 0,
        pending=is_pending,
    )
