"""Requests: every call in the books, newest first, and one with all its rows."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from billing.ledger.arithmetic import arithmetic_of
from billing.portal.calls import buckets, find_call, newest_calls
from tenants.models import Customer
from tenants.portal.access import Desk, at_desk
from tenants.portal.pages import page

PER_PAGE = 50
BASES = ("reported", "estimated", "unresolved", "none")
NARROWED_BY = ("customer", "basis", "model", "account", "price", "from", "to")


@require_safe
@at_desk()
def requests(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List calls, narrowed to a customer or a basis, or to what stands behind a statement's line."""
    given = {name: request.GET.get(name, "").replace("\0", "") for name in NARROWED_BY}
    filters = {name: value for name, value in given.items() if value}
    older_than = request.GET.get("older", "")
    found = newest_calls(desk.tenant, desk.scope, count=PER_PAGE, filters=filters, older_than=older_than)
    customers = Customer.objects.for_scope(desk.tenant, desk.mode)
    context = {
        "calls": found.calls,
        "older": found.older,
        "is_older": bool(older_than),
        "filters": filters,
        "bases": BASES,
        "customer": customers.filter(pk=filters.get("customer", "")).first(),
    }
    return page(request, desk, "billing/requests.html", context)


@require_safe
@at_desk()
def one_request(request: HttpRequest, desk: Desk, request_id: str) -> HttpResponse:
    """Show a call with everything that its amounts were worked out from."""
    call = find_call(desk.tenant, desk.scope, request_id)
    if call is None:
        raise Http404("no such request")
    worked_out = arithmetic_of(call.rows)
    rows = [
        {"row": row, "buckets": buckets(row), "arithmetic": worked_out[row.event_id]} for row in call.rows
    ]
    return page(request, desk, "billing/request.html", {"call": call, "rows": rows})
