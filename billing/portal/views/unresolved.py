"""Unresolved money: calls booked at their quote because nobody knows what the provider billed, and ending that."""

from __future__ import annotations

from collections import Counter

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from billing.ledger.resolving import Resolution, Resolved, resolve_rows
from billing.ledger.unresolved import unresolved_rows, unresolved_sum
from billing.models import LedgerRow
from billing.portal.calls import customers_of_rows
from billing.portal.forms import ResolveForm
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import go, page

SHOWN_MAX = 100


@at_desk()
def unresolved(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List unresolved calls; a POST resolves the chosen ones, after asking."""
    rows = list(unresolved_rows(desk.scope).order_by("-started_at", "-event_id")[:SHOWN_MAX])
    form = ResolveForm(request.POST or None)
    chosen: list[LedgerRow] = []
    if request.method == "POST":
        desk.require(Right.MONEY)
        wanted = set(request.POST.getlist("event"))
        chosen = [row for row in rows if row.event_id in wanted]
        if wanted and not chosen:
            messages.info(request, "Those calls are resolved already.")
            return go(desk, "unresolved")
        if not chosen and form.is_valid():
            form.add_error(None, "Choose at least one call.")
        if form.is_valid() and "confirmed" in request.POST:
            done = resolve_rows(
                tenant=desk.tenant,
                resolutions=[Resolution(row, form.cost_nanousd) for row in chosen],
                actor=desk.actor,
                reason=form.cleaned_data["reason"],
            )
            _tell(request, done)
            return go(desk, "unresolved")
        if form.is_valid():
            return _ask(request, desk, form, chosen)
    count, total_nanousd = unresolved_sum(desk.scope)
    customers = customers_of_rows(desk.tenant, desk.scope, rows)
    context = {
        "lines": [(row, customers.get(row.customer_id), row in chosen) for row in rows],
        "count": count,
        "total_nanousd": total_nanousd,
        "form": form,
    }
    return page(request, desk, "billing/unresolved.html", context, status=422 if form.errors else 200)


def _ask(request: HttpRequest, desk: Desk, form: ResolveForm, chosen: list[LedgerRow]) -> HttpResponse:
    context = {
        "form": form,
        "rows": chosen,
        "charge_nanousd": sum(row.charge_nanousd for row in chosen),
        "charge_after_nanousd": sum(Resolution(row, form.cost_nanousd).charge_nanousd for row in chosen),
        "cost_after_nanousd": form.cost_nanousd,
        "how": form.cleaned_data["how"],
        "reason": form.cleaned_data["reason"],
        "cost_usd": form.data.get("cost_usd", ""),
    }
    return page(request, desk, "billing/unresolved_confirm.html", context)


def _tell(request: HttpRequest, outcomes: list[Resolved]) -> None:
    counts = Counter(outcome.outcome for outcome in outcomes)
    if counts["resolved"]:
        messages.success(
            request, f"Resolved: {counts['resolved']}. The corrections are in the books within seconds."
        )
    if counts["moved"]:
        messages.warning(
            request, f"Left alone: {counts['moved']}. Their own end came, or somebody else was faster."
        )
    if counts["unavailable"]:
        messages.error(
            request, f"Not resolved: {counts['unavailable']}. Enforcement could not be reached; try again."
        )
