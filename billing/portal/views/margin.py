"""Margin: what is earned on customers and models, losses first, and what becomes of calls at a loss."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from billing.ledger.margins import Margin, margins, quoted_below_cost
from billing.ledger.usage import SLOT_SECONDS, UsageQuestion, UsageQuestionError
from billing.portal.calls import customers_of_rows
from billing.statements.periods import month_period
from tenants.actions.tenants import change_settings
from tenants.errors import InvalidInput
from tenants.models import Customer, TenantSettings
from tenants.percent import format_percent
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import go, page, put_in_force, tell

SHOWN_MAX = 200
CALLS_SHOWN = 20
CALLS_WITHIN = timedelta(days=1)
GROUPS = {"both": ("customer", "model"), "customer": ("customer",), "model": ("model",)}
GUARD_TEXTS = {
    "off": "Calls at a loss are served.",
    "warn": "Calls at a loss are served; each is logged and counted as an alarm.",
    "refuse": "Calls at a loss are refused before they reach a provider.",
}


@require_safe
@at_desk()
def margin(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Show the running month's margins by customer, model or both."""
    by = request.GET.get("by", "both")
    by = by if by in GROUPS else "both"
    now = timezone.now()
    local = timezone.localtime(now)
    month = month_period(local.year, local.month, desk.tenant.zone)
    try:
        found = margins(
            UsageQuestion(scope=desk.scope, start=month.start, end=_slot_end(now), group_by=GROUPS[by])
        )
    except UsageQuestionError as error:
        tell(request, InvalidInput(error.param, str(error)))
        found = []
    below = quoted_below_cost(desk.scope, now - CALLS_WITHIN, count=CALLS_SHOWN)
    named = customers_of_rows(desk.tenant, desk.scope, below)
    context = {
        "by": by,
        "month": month,
        "lines": _lines(desk, found[:SHOWN_MAX], by),
        "total": len(found),
        "losses": sum(each.margin_nanousd < 0 for each in found),
        "guard": desk.tenant.settings_for(desk.mode).margin_guard,
        "guards": TenantSettings.MarginGuard.choices,
        "guard_texts": GUARD_TEXTS,
        "below": [(row, named.get(row.customer_id)) for row in below],
    }
    return page(request, desk, "billing/margin.html", context)


@require_POST
@at_desk(Right.BILLING)
def margin_guard(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Say what becomes of calls at a loss."""
    wanted = request.POST.get("margin_guard", "")
    try:
        change = change_settings(
            tenant=desk.tenant, mode=desk.mode, actor=desk.actor, changes={"margin_guard": wanted}
        )
    except InvalidInput as error:
        tell(request, error)
    else:
        put_in_force(request, change.entries, GUARD_TEXTS[wanted])
    return go(desk, "margin")


def _lines(desk: Desk, found: list[Margin], by: str) -> list[dict[str, object]]:
    groups = GROUPS[by]
    named = [dict(zip(groups, each.names, strict=True)) for each in found]
    ids = {names.get("customer") or "" for names in named} - {""}
    customers = Customer.objects.for_scope(desk.tenant, desk.mode).in_bulk(list(ids))
    return [
        {
            "margin": each,
            "customer": customers.get(names.get("customer") or ""),
            "model": names.get("model") or "",
            "percent": None if each.margin_bp is None else format_percent(each.margin_bp),
        }
        for each, names in zip(found, named, strict=True)
    ]


def _slot_end(now: datetime) -> datetime:
    seconds = (int(now.timestamp()) // SLOT_SECONDS + 1) * SLOT_SECONDS
    return datetime.fromtimestamp(seconds, UTC)
