"""Pushes: what is on its way to an invoice, where each stands, what comes next, and one with its rows."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from billing.models import Push, PushAttempt
from billing.pushing.listing import (
    FILTERS,
    amount_text,
    carry_text,
    counts_by_state,
    next_step,
    pushes_of,
    reason_of,
    rows_of_push,
    waiting_lines,
)
from billing.pushing.releasing import is_retryable, retry_by_hand
from billing.pushing.sinks import CSV_PUSHES_MAX, csv_lines
from billing.pushing.stamping import hour_of
from billing.pushing.states import NEXT_STEPS
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import go, page, row_or_404

PAGE_ROWS = 50


@require_safe
@at_desk()
def pushes(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List pushes with a counter for each state, and what is not sealed yet."""
    wanted = _wanted(request)
    counts = counts_by_state(desk.tenant, desk.mode)
    shown = Paginator(pushes_of(desk.tenant, desk.mode, wanted), PAGE_ROWS)
    rows = shown.get_page(request.GET.get("page"))
    context = {
        "states": [(state, count, state == wanted.get("state")) for state, count in counts.items()],
        "total": sum(counts.values()),
        "shown": rows,
        "lines": [(push, amount_text(push), reason_of(push)) for push in rows.object_list],
        "wanted": wanted,
        "step": NEXT_STEPS.get(wanted.get("state", ""), ""),
        "waiting": waiting_lines(desk.tenant, desk.mode, until=hour_of(timezone.now())),
    }
    return page(request, desk, "billing/pushes.html", context)


@require_safe
@at_desk()
def push(request: HttpRequest, desk: Desk, push_id: str) -> HttpResponse:
    """Show one push with every try and the rows of its bucket."""
    row = row_or_404(pushes_of(desk.tenant, desk.mode), pk=push_id)
    rows = rows_of_push(row)
    context = {
        "push": row,
        "amount": amount_text(row),
        "carry": carry_text(row),
        "next_step": next_step(row),
        "can_retry": is_retryable(row),
        "tries": PushAttempt.objects.filter(push=row),
        "rows": rows,
        "rows_nanousd": sum(each.charge_nanousd for each in rows),
    }
    return page(request, desk, "billing/push.html", context)


@require_POST
@at_desk(Right.BILLING)
def push_retry(request: HttpRequest, desk: Desk, push_id: str) -> HttpResponse:
    """Try a push again now."""
    row = row_or_404(pushes_of(desk.tenant, desk.mode), pk=push_id)
    outcome = retry_by_hand(row, actor=desk.actor, now=timezone.now())
    if outcome in ("retried", "released"):
        messages.success(request, "It is tried again within a minute.")
    elif outcome == "still_held":
        messages.warning(request, f"It still has to wait: {reason_of(row)}.")
    else:
        messages.warning(request, f"A push that is {row.state} is not tried again. {next_step(row)}")
    return go(desk, "push", push_id=push_id)


@require_safe
@at_desk()
def pushes_file(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Download pushes as CSV."""
    rows = pushes_of(desk.tenant, desk.mode, _wanted(request))[:CSV_PUSHES_MAX]
    answer = HttpResponse("".join(csv_lines(rows.iterator(chunk_size=1000))), content_type="text/csv")
    answer["Content-Disposition"] = f'attachment; filename="pushes-{desk.tenant.slug}-{desk.mode}.csv"'
    return answer


def _wanted(request: HttpRequest) -> dict[str, str]:
    given = {name: value for name in FILTERS if (value := request.GET.get(name, "").replace("\0", ""))}
    if given.get("state") not in Push.State.values:
        given.pop("state", None)
    return given
