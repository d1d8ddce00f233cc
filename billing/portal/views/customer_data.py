"""A customer's data in the portal: taken out as a file, and erased after it was named once more."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from billing.erasing.erasing import erase_customer
from billing.erasing.exporting import export_customer
from billing.errors import ErasurePending
from tenants.actions.recording import Trail
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import go, page, put_in_force, row_or_404
from tenants.portal.views.customers import customers_of


@at_desk(Right.DATA)
def customer_data(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Show what can be done with a customer's data; a POST that repeats its id erases it."""
    row = row_or_404(customers_of(desk).select_related("tenant"), pk=customer_id)
    context: dict[str, object] = {"customer": row}
    if request.method == "POST" and request.POST.get("again") == row.pk:
        try:
            change = erase_customer(customer=row, actor=desk.actor, force=request.POST.get("force") == "yes")
        except ErasurePending as error:
            context["pending"] = error.pending
            return page(request, desk, "billing/customer_data.html", context, status=409)
        put_in_force(request, change.entries, "The customer is erased. Its amounts and rows stay.")
        return go(desk, "customer", customer_id=row.pk)
    if request.method == "POST":
        messages.error(request, f"Type {row.pk} to erase it.")
    return page(request, desk, "billing/customer_data.html", context)


@at_desk(Right.DATA)  # type: ignore[arg-type]  # a file that streams is an answer too
@require_safe
def customer_file(request: HttpRequest, desk: Desk, customer_id: str) -> StreamingHttpResponse:
    """Download all that is held about a customer; it is an audit entry."""
    row = row_or_404(customers_of(desk), pk=customer_id)
    Trail(desk.tenant, desk.mode, desk.actor).audit("customer.export", row)
    response = StreamingHttpResponse(export_customer(row, desk.scope), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{row.pk}.json"'
    return response
