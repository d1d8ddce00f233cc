"""A customer that pays first: its credit, its payments, and the link by which it buys more."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from billing.models import PrepaidBudget
from billing.portal.prepaid_forms import LinkForm
from billing.prepaid.links import TopUpLink, make_link
from billing.prepaid.opening import close_prepaid, open_prepaid
from billing.prepaid.reading import figures_of
from tenants.errors import TenantsError
from tenants.models import Customer
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import attempt, go, page, put_in_force, row_or_404, tell

PAGE = "prepaid"
ROWS_SHOWN = 50


@at_desk()
def prepaid(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Show a customer's credit; a POST makes a link by which it buys more."""
    customer = _customer(desk, customer_id)
    row = (
        PrepaidBudget.objects.filter(customer=customer).select_related("budget", "customer", "tenant").first()
    )
    form = LinkForm(request.POST or None)
    link: TopUpLink | None = None
    if request.method == "POST":
        desk.require(Right.BILLING)
        if row is not None and form.is_valid():
            link = attempt(form, lambda: make_link(row, lasts=form.lasts))
    context: dict[str, object] = {"customer": customer, "prepaid": row, "form": form, "link": link}
    if row is not None:
        context |= {
            "figures": figures_of(row),
            "entries": row.entries.all()[:ROWS_SHOWN],
            "top_ups": row.top_ups.all()[:ROWS_SHOWN],
        }
    return page(request, desk, "billing/prepaid.html", context, status=422 if form.errors else 200)


@require_POST
@at_desk(Right.BILLING)
def prepaid_act(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Have a customer pay first, or end it, as ``do`` says."""
    customer = _customer(desk, customer_id)
    try:
        if request.POST.get("do") == "close":
            row = row_or_404(PrepaidBudget.objects.select_related("tenant"), customer=customer)
            entries = close_prepaid(prepaid=row, actor=desk.actor).entries
            put_in_force(request, entries, "The customer does not pay first any more.")
        else:
            entries = open_prepaid(customer=customer, actor=desk.actor).entries
            put_in_force(request, entries, "The customer pays first from now on.")
    except TenantsError as error:
        tell(request, error)
    return go(desk, PAGE, customer_id=customer.pk)


def _customer(desk: Desk, customer_id: str) -> Customer:
    rows = Customer.objects.for_scope(desk.tenant, desk.mode).select_related("tenant")
    found: Customer = row_or_404(rows, pk=customer_id)
    return found
