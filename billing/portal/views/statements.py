"""Statements: what each customer is billed for a period, one in lines, and the same as a file."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from billing.statements.export import csv_answer
from billing.statements.lines import Statement, UsageLine, corrections_of, statement_of, total_of
from billing.statements.periods import Period, find_period, periods_of
from tenants.errors import InvalidInput
from tenants.models import Customer
from tenants.portal.access import Desk, at_desk
from tenants.portal.pages import go, page, row_or_404
from tenants.portal.views.customers import customers_of

PER_PAGE = 25
CORRECTIONS_SHOWN_MAX = 200


@require_safe
@at_desk()
def statements(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List customers with what their running period comes to."""
    now = timezone.now()
    shown = Paginator(customers_of(desk).select_related("tenant"), PER_PAGE)
    rows = shown.get_page(request.GET.get("page"))
    lines = [(row, period := periods_of(row, now)[0], total_of(row, period)) for row in rows.object_list]
    return page(request, desk, "billing/statements.html", {"lines": lines, "shown": rows})


@require_safe
@at_desk()
def statement(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Show one customer's statement of a period."""
    customer: Customer = row_or_404(customers_of(desk).select_related("tenant"), pk=customer_id)
    now = timezone.now()
    try:
        period = find_period(customer, request.GET.get("period", ""), now)
    except InvalidInput as error:
        messages.error(request, str(error))
        return go(desk, "statement", customer_id=customer_id)
    found = statement_of(customer, period, now=now)
    context = {
        "statement": found,
        "customer": customer,
        "periods": _choices(customer, period),
        "lines": [(line, _rows_query(found, line)) for line in found.usage],
        "corrections": list(corrections_of(customer, period, most=CORRECTIONS_SHOWN_MAX)),
        "unresolved_query": _query(found, basis="unresolved"),
    }
    return page(request, desk, "billing/statement.html", context)


@require_safe
@at_desk()  # type: ignore[arg-type]  # the one answer of the portal that is streamed
def statement_file(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponseBase:
    """Download one customer's statement as CSV."""
    customer: Customer = row_or_404(customers_of(desk).select_related("tenant"), pk=customer_id)
    now = timezone.now()
    try:
        period = find_period(customer, request.GET.get("period", ""), now)
    except InvalidInput as error:
        messages.error(request, str(error))
        return go(desk, "statement", customer_id=customer_id)
    return csv_answer(statement_of(customer, period, now=now), request)


def _choices(customer: Customer, chosen: Period) -> list[Period]:
    known = periods_of(customer, timezone.now())
    return known if chosen in known else [chosen, *known]


def _rows_query(statement: Statement, line: UsageLine) -> str:
    return _query(statement, model=line.model, account=line.account_id, price=line.price_id)


def _query(statement: Statement, **filters: str) -> str:
    period = statement.period
    span = {"from": period.start.isoformat(), "to": period.end.isoformat()}
    return urlencode({"customer": statement.customer.pk, **filters, **span})
