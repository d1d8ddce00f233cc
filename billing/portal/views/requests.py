"""Requests: every call in the books, newest first, and one with all its rows."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from billing.portal.calls import buckets, find_call, newest_calls
from tenants.models import Customer
from tenants.portal.access import Desk, at_desk
from tenants.portal.pages import page

PER_PAGE = 50
BASES = ("reported", "estimated", "unresolved", "none")


@require_safe
@at_desk()
def requests(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List calls, narrowed to a customer or a basis."""
    filters = {name: value for name in ("customer", "basis") if (value := request.GET.get(name, ""))}
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
    rows = [{"row": row, "buckets": buckets(row)} for row in call.rows]
    return page(request, desk, "billing/request.html", {"call": call, "rows": rows})
