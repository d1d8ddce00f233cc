"""Calls that budgets refused in the last hour: whom to ask, or whose limit to raise."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from enforcement.errors import EnforcementUnavailable
from enforcement.refusals import read_refusals
from tenants.models import Budget
from tenants.portal.access import Desk
from tenants.publishing import shared_control

SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class RefusedHour:
    """How many calls budgets refused in the last hour, and the budgets that refused most."""

    count: int
    budgets: tuple[tuple[Budget, int], ...]

    @property
    def mark(self) -> tuple[object, ...]:
        """What changes when this is to be shown anew."""
        return self.count, tuple((budget.pk, count) for budget, count in self.budgets)


def refused_this_hour(desk: Desk) -> RefusedHour:
    """Read the last hour's refusals; none while enforcement is away, which the overview says by itself."""
    now_ms = int(timezone.now().timestamp() * 1000)
    try:
        counts = read_refusals(shared_control().client, desk.scope, now_ms=now_ms)
    except EnforcementUnavailable:
        return RefusedHour(0, ())
    most = dict(counts.most_common(SHOWN_MAX))
    rows = Budget.objects.for_scope(desk.tenant, desk.mode).select_related("customer").in_bulk(list(most))
    shown = tuple((rows[budget_id], count) for budget_id, count in most.items() if budget_id in rows)
    return RefusedHour(counts.total(), shown)
