"""The overview: what the month came to, what is in flight, and what needs somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from billing.ledger.unresolved import unresolved_sum
from billing.ledger.usage import UsageQuestion, usage
from billing.portal.calls import newest_calls
from billing.portal.refusals import refused_this_hour
from tenants.models import Budget, Customer, Key, Outbox, ProviderAccount
from tenants.portal.access import Desk, at_desk
from tenants.portal.gauges import Gauge, Sums, mark_of, read_gauges, sum_gauges
from tenants.portal.pages import fragment, is_htmx, page
from tenants.portal.snippets import snippets_for

BUDGETS_MAX = 5_000
NEAR_SHOWN_MAX = 5
CALLS_SHOWN = 5
PENDING_AFTER = timedelta(seconds=5)
QUARTER_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Month:
    """What the ledger has for the running month."""

    starts_at: datetime
    attempts: int
    cost_nanousd: int
    charge_nanousd: int


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first things to do."""

    is_done: bool
    name: str


@require_safe
@at_desk()
def overview(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Show the month's figures, what needs attention, and to a newcomer what to do first."""
    figures = _figures(desk)
    if is_htmx(request):
        return fragment(request, desk, "billing/_figures.html", figures)
    steps = _steps(desk)
    context = {
        **figures,
        "steps": steps,
        "is_set_up": all(step.is_done for step in steps),
        "snippets": snippets_for(desk.tenant, desk.mode),
        "calls": newest_calls(desk.tenant, desk.scope, count=CALLS_SHOWN).calls,
    }
    return page(request, desk, "billing/overview.html", context)


def _figures(desk: Desk) -> dict[str, object]:
    budgets = Budget.objects.for_scope(desk.tenant, desk.mode).in_force()
    ours = budgets.filter(scope=Budget.Scope.CUSTOMER).select_related("customer")
    gauges = read_gauges(list(ours.order_by("pk")[:BUDGETS_MAX]))
    sums, month = sum_gauges(gauges), month_so_far(desk)
    near = sorted(
        (gauge for gauge in gauges if gauge.level in {"near", "full"}), key=lambda each: -each.used_permille
    )
    unresolved_count, unresolved_nanousd = unresolved_sum(desk.scope)
    refused = refused_this_hour(desk)
    accounts = ProviderAccount.objects.for_scope(desk.tenant, desk.mode).filter(state="active")
    waiting = Outbox.objects.filter(
        tenant=desk.tenant, mode=desk.mode, created_at__lt=timezone.now() - PENDING_AFTER
    )
    figures: dict[str, object] = {
        "sums": sums,
        "month": month,
        "near": near[:NEAR_SHOWN_MAX],
        "near_more": max(0, len(near) - NEAR_SHOWN_MAX),
        "unresolved_count": unresolved_count,
        "unresolved_nanousd": unresolved_nanousd,
        "refused": refused,
        "has_account": accounts.exists(),
        "waiting": waiting.count(),
        "is_partial": len(gauges) == BUDGETS_MAX,
    }
    return {**figures, "mark": _mark(sums, month, near, {**figures, "refused": refused.mark})}


def _mark(sums: Sums, month: Month, near: list[Gauge], figures: dict[str, object]) -> str:
    rest = [
        figures[name]
        for name in ("unresolved_count", "unresolved_nanousd", "has_account", "waiting", "refused")
    ]
    return mark_of(sums, month, [(gauge.budget.pk, gauge.balance) for gauge in near], rest)


def month_so_far(desk: Desk) -> Month:
    """Sum the calendar month that is running in the tenant's zone, from the rollups."""
    now = timezone.now()
    local = now.astimezone(ZoneInfo(desk.tenant.zone))
    start = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    # Rollups are by the quarter of an hour: up to the end of the one that is running.
    end_s = (int(now.timestamp()) // QUARTER_SECONDS + 1) * QUARTER_SECONDS
    question = UsageQuestion(
        scope=desk.scope, start=start.astimezone(UTC), end=datetime.fromtimestamp(end_s, UTC)
    )
    groups = usage(question)
    return Month(
        starts_at=start,
        attempts=sum(group.attempts for group in groups),
        cost_nanousd=sum(group.sums["cost_nanousd"] or 0 for group in groups),
        charge_nanousd=sum(group.sums["charge_nanousd"] or 0 for group in groups),
    )


def _steps(desk: Desk) -> list[Step]:
    in_scope = {"tenant": desk.tenant, "mode": desk.mode}
    has_account = ProviderAccount.objects.filter(**in_scope, state="active").exists()
    has_customer = Customer.objects.filter(**in_scope).exists()
    # A key's first use is noted only now and then, so a call in the books counts as well.
    has_call = bool(newest_calls(desk.tenant, desk.scope, count=1).calls)
    has_key = Key.objects.filter(**in_scope, revoked_at__isnull=True).exclude(kind="api").exists()
    return [
        Step(has_account, "account"),
        Step(has_customer and has_key, "customer"),
        Step(has_call, "call"),
    ]
