"""One customer: budgets with live gauges, keys, and the latest calls."""

from __future__ import annotations

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from billing.portal.calls import newest_calls
from billing.portal.key_use import last_use_by_key
from tenants.models import Customer
from tenants.portal import once
from tenants.portal.access import Desk, at_desk
from tenants.portal.forms import KeyForm, LimitForm
from tenants.portal.gauges import gauges_mark, mark_of, read_gauges
from tenants.portal.pages import fragment, page, row_or_404
from tenants.portal.views.budgets import customer_budgets
from tenants.portal.views.customers import customers_of

CALLS_SHOWN = 10
KEYS_SHOWN_MAX = 50


@require_safe
@at_desk()
def customer(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Show a customer."""
    row: Customer = row_or_404(customers_of(desk), pk=customer_id)
    used_at = last_use_by_key(desk.scope, row.pk)
    newest = row.keys.order_by(F("revoked_at").asc(nulls_first=True), "-created_at")[:KEYS_SHOWN_MAX]
    context = {
        "customer": row,
        "keys": [{"row": key, "used_at": used_at.get(key.pk)} for key in newest],
        "key_form": KeyForm(),
        "limit_form": LimitForm(auto_id=False),
        "once": once.new_ticket(),
        **_live(desk, row),
    }
    return page(request, desk, "billing/customer.html", context)


@require_safe
@at_desk()
def customer_live(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """The parts of a customer's page that move: gauges and latest calls. Asked for every second while it is open."""
    row: Customer = row_or_404(customers_of(desk), pk=customer_id)
    return fragment(request, desk, "billing/_customer_live.html", {"customer": row, **_live(desk, row)})


def _live(desk: Desk, row: Customer) -> dict[str, object]:
    gauges = read_gauges(customer_budgets(desk, row))
    calls = newest_calls(desk.tenant, desk.scope, count=CALLS_SHOWN, filters={"customer": row.pk}).calls
    shown = [(call.last.event_id, call.charge_nanousd) for call in calls]
    return {"gauges": gauges, "calls": calls, "mark": mark_of(gauges_mark(gauges), shown)}
