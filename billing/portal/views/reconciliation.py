"""Reconciliation and month close in the portal: what agrees with Stripe, what does not, and months that are done."""

from __future__ import annotations

from datetime import date, timedelta

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from billing.closing.months import close_month, draft_close
from billing.models import MonthClose
from billing.stripe.fixing import fix_with_delta
from billing.stripe.recon_listing import (
    CSV_ROWS_MAX,
    FILTERS,
    STEPS,
    fixable_units,
    recon_counts,
    recon_csv_lines,
    recon_rows_of,
    why_of,
)
from tenants.errors import InvalidInput, TenantsError
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import go, page, row_or_404

PAGE_ROWS = 50


@require_safe
@at_desk()
def reconciliation(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List compared hours, what differs first of all."""
    wanted = _wanted(request)
    counts = recon_counts(desk.tenant, desk.mode)
    try:
        rows = recon_rows_of(desk.tenant, desk.mode, wanted)
    except InvalidInput as error:
        messages.warning(request, str(error))
        wanted = {"state": "differing"}
        rows = recon_rows_of(desk.tenant, desk.mode, wanted)
    shown = Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "states": [(state, count, state == wanted.get("state")) for state, count in counts.items()],
        "shown": shown,
        "lines": [(row, why_of(row), fixable_units(row)) for row in shown.object_list],
        "wanted": wanted,
        "step": STEPS.get(wanted.get("state", ""), ""),
    }
    return page(request, desk, "billing/reconciliation.html", context)


@require_safe
@at_desk()
def reconciliation_file(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Download compared hours as CSV."""
    try:
        rows = recon_rows_of(desk.tenant, desk.mode, _wanted(request))[:CSV_ROWS_MAX]
    except InvalidInput as error:
        messages.warning(request, str(error))
        return go(desk, "reconciliation")
    answer = HttpResponse("".join(recon_csv_lines(rows.iterator(chunk_size=1000))), content_type="text/csv")
    name = f"reconciliation-{desk.tenant.slug}-{desk.mode}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_POST
@at_desk(Right.BILLING)
def reconciliation_fix(request: HttpRequest, desk: Desk, recon_id: int) -> HttpResponse:
    """Take an hour's surplus back, as much as the button said."""
    row = row_or_404(recon_rows_of(desk.tenant, desk.mode), pk=recon_id)
    text = request.POST.get("units", "")
    units = int(text) if text.isascii() and text.isdigit() else 0
    try:
        push = fix_with_delta(row, units=units, actor=desk.actor, now=timezone.now())
    except TenantsError as error:
        messages.warning(request, str(error))
        return go(desk, "reconciliation")
    messages.success(request, f"A push of {push.value_units} units takes it back.")
    return go(desk, "push", push_id=push.pk)


@require_safe
@at_desk()
def months(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Show closed months, and what closing the last one would keep."""
    closed = MonthClose.objects.for_scope(desk.tenant, desk.mode)
    month = _last_month()
    is_closed = closed.filter(month=month).exists()
    draft = None if is_closed else draft_close(desk.tenant, desk.mode, month)
    context = {
        "closed": [(row, int(row.figures[0]["month_nanousd"])) for row in closed],
        "draft": draft,
        "wrong": sum(each.is_wrong for each in draft.standing.differences) if draft else 0,
    }
    return page(request, desk, "billing/months.html", context)


@require_POST
@at_desk(Right.BILLING)
def month_close(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Close the last month for good."""
    try:
        row = close_month(
            desk.tenant, desk.mode, _last_month(), actor=desk.actor, now=timezone.now(),
            accept_differences=request.POST.get("accept") == "yes",
        )  # fmt: skip
    except TenantsError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"{row.month:%Y-%m} is closed.")
    return go(desk, "months")


def _last_month() -> date:
    return (timezone.now().date().replace(day=1) - timedelta(days=1)).replace(day=1)


def _wanted(request: HttpRequest) -> dict[str, str]:
    return {name: value for name in FILTERS if (value := request.GET.get(name, "").replace("\0", ""))}
