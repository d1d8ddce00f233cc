"""A customer's invoices: what the next one comes to so far, as Stripe says itself, and those that were final."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from billing.errors import NotConnected, StripeFailed
from billing.models import CustomerMap, PeriodInvoice
from billing.portal.views.stripe_connection import PAGE, asked, connection_at
from billing.pushing.currencies import minor_text
from billing.stripe.drafts import InvoiceSoFar, SoFar, invoices_so_far
from billing.stripe.keys import is_simulated
from tenants.models import Customer
from tenants.portal.access import Desk, at_desk
from tenants.portal.pages import go, page, row_or_404

FINAL_SHOWN_MAX = 12


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line as a person reads it; ``is_ours``: our price, so its quantity is what was pushed."""

    quantity: str
    amount: str
    start: datetime
    end: datetime
    is_ours: bool


@require_safe
@at_desk()
def stripe_invoice(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Show what a customer's next invoice comes to so far, and its final ones."""
    customers = Customer.objects.for_scope(desk.tenant, desk.mode).select_related("tenant")
    customer = row_or_404(customers, pk=customer_id)
    if connection_at(desk) is None:
        return go(desk, PAGE)
    maps = CustomerMap.objects.for_scope(desk.tenant, desk.mode).select_related("connection__tenant")
    mapping = maps.filter(customer=customer).exclude(state=CustomerMap.State.UNMAPPED).first()
    so_far, failed = _ask(mapping)
    prices = set(mapping.connection.meters.values_list("price_id", flat=True)) if mapping else set()
    rows = PeriodInvoice.objects.for_scope(desk.tenant, desk.mode).filter(customer=customer)
    finals = rows.exclude(finalized_at=None).order_by("-period_end")[:FINAL_SHOWN_MAX]
    context = {
        "customer": customer, "mapping": mapping, "failed": failed, "simulated": is_simulated(),
        "read_at": so_far.read_at if so_far else None,
        "invoices": [_shown(each, prices) for each in so_far.invoices] if so_far else [],
        "finals": [
            (row, _plain(row.quantity_units), minor_text(row.amount_minor, row.currency)) for row in finals
        ],
    }  # fmt: skip
    return page(request, desk, "billing/stripe_invoice.html", context)


def _ask(mapping: CustomerMap | None) -> tuple[SoFar | None, str]:
    if mapping is None:
        return None, ""
    try:
        return asked(mapping.connection, lambda: invoices_so_far(mapping))(), ""
    except (NotConnected, StripeFailed) as error:
        return None, str(error)


def _shown(each: InvoiceSoFar, prices: set[str]) -> dict[str, object]:
    invoice = each.invoice
    lines = [
        ShownLine(
            quantity=_plain(line.quantity),
            amount=minor_text(line.amount_minor, invoice.currency),
            start=line.period_start,
            end=line.period_end,
            is_ours=line.price_id in prices,
        )
        for line in each.lines
    ]
    total = minor_text(invoice.total_minor, invoice.currency)
    return {"invoice": invoice, "is_running": each.is_running, "lines": lines, "total": total}


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"
