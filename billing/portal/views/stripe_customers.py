"""Who the customers are at Stripe: those who are nobody there first, because their usage waits."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from billing.errors import NotConnected, StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.portal.stripe_forms import FindForm, MapsFileForm, NewBuyerForm
from billing.portal.views.stripe_connection import PAGE, asked, connection_at
from billing.stripe import mapping as actions
from billing.stripe.catalog import subscribe
from billing.stripe.keys import is_simulated
from billing.stripe.mapping_import import export_mappings_csv, import_mappings_csv
from billing.stripe.objects import Buyer
from tenants.actions.recording import Change
from tenants.errors import TenantsError
from tenants.models import Customer
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import attempt, go, page, row_or_404, tell

LIST, ONE = "stripe_customers", "stripe_customer"
PAGE_ROWS = 50
_STATE = CustomerMap.State


def _customers(desk: Desk) -> QuerySet[Customer]:
    return Customer.objects.for_scope(desk.tenant, desk.mode).select_related("tenant", "stripe_map")


@at_desk()
def stripe_customers(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List customers with who they are at Stripe, those who need something first; a POST takes a CSV file."""
    row = connection_at(desk)
    if row is None:
        return go(desk, PAGE)
    form = MapsFileForm(request.POST or None, request.FILES or None)
    lines = None
    if request.method == "POST":
        desk.require(Right.BILLING)
        if form.is_valid():
            text = form.cleaned_data["file"]
            lines = attempt(
                form, asked(row, lambda: import_mappings_csv(connection=row, actor=desk.actor, text=text))
            )
    order = Case(
        When(Q(stripe_map=None) | Q(stripe_map__state=_STATE.UNMAPPED), then=Value(0)),
        When(stripe_map__state=_STATE.MAPPED, then=Value(2)),
        default=Value(1), output_field=IntegerField(),
    )  # fmt: skip
    shown = Paginator(_customers(desk).order_by(order, "-created_at", "-id"), PAGE_ROWS)
    context = {
        "shown": shown.get_page(request.GET.get("page")), "form": form, "lines": lines,
        "unmapped": actions.unmapped_customers(row).count(), "simulated": is_simulated(),
    }  # fmt: skip
    return page(request, desk, "billing/stripe_customers.html", context, status=422 if form.errors else 200)


@require_safe
@at_desk()
def stripe_customers_file(request: HttpRequest, desk: Desk) -> HttpResponse:
    """All mappings as a CSV file."""
    named = {"Content-Disposition": 'attachment; filename="farebox-stripe-customers.csv"'}
    text = export_mappings_csv(desk.tenant, desk.mode)
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=named)


@require_POST
@at_desk(Right.BILLING)
def stripe_customers_match(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Map whoever is found by what Stripe's customers carry."""
    row = connection_at(desk)
    if row is not None:
        connection = row
        try:
            made = asked(
                connection, lambda: actions.match_by_metadata(connection=connection, actor=desk.actor)
            )()
            messages.success(request, f"Found by farebox_external_id: {len(made)}.")
        except TenantsError as error:
            tell(request, error)
    return go(desk, LIST)


@at_desk()
def stripe_customer(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Show who one customer is at Stripe; a POST says who, or makes it there."""
    customer = row_or_404(_customers(desk), pk=customer_id)
    row = connection_at(desk)
    if row is None:
        return go(desk, PAGE)
    making = NewBuyerForm(request.POST or None)
    if request.method == "POST":
        desk.require(Right.BILLING)
        if making.is_valid() and _say_who(request, desk, row, customer, making):
            messages.success(request, f"It is said who {customer} is at Stripe.")
            return go(desk, ONE, customer_id=customer.pk)
    finding = FindForm(request.GET if "q" in request.GET else None)
    return _show(request, desk, customer, forms=(finding, making))


def _say_who(
    request: HttpRequest, desk: Desk, row: StripeConnection, customer: Customer, form: NewBuyerForm
) -> bool:
    chosen = request.POST.get("stripe_customer_id", "").strip()

    def act() -> Change[CustomerMap]:
        if chosen:
            return actions.map_customer(
                connection=row, customer=customer, actor=desk.actor, stripe_customer_id=chosen
            )
        email = form.cleaned_data["email"]
        return actions.create_buyer(connection=row, customer=customer, actor=desk.actor, email=email)

    return attempt(form, asked(row, act)) is not None


def _show(
    request: HttpRequest, desk: Desk, customer: Customer, *, forms: tuple[FindForm, NewBuyerForm]
) -> HttpResponse:
    finding, making = forms
    mapping = getattr(customer, "stripe_map", None)
    meters = StripeMeter.objects.for_scope(desk.tenant, desk.mode).filter(status=StripeMeter.Status.ACTIVE)
    context = {
        "customer": customer, "mapping": mapping, "finding": finding, "making": making, "meters": meters,
        "found": _found(request, desk, finding), "simulated": is_simulated(),
        "waits": mapping is None or mapping.state == _STATE.UNMAPPED,
    }  # fmt: skip
    return page(request, desk, "billing/stripe_customer.html", context, status=422 if making.errors else 200)


def _found(request: HttpRequest, desk: Desk, form: FindForm) -> list[Buyer] | None:
    row = connection_at(desk)
    if row is None or not desk.has(Right.BILLING) or not form.is_valid():
        return None
    try:
        return asked(row, lambda: actions.find_buyers(row, form.cleaned_data["q"]))()
    except StripeFailed as error:
        form.add_error("q", str(error))
        return None


@require_POST
@at_desk(Right.BILLING)
def stripe_customer_act(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Read again, take the mapping away, or put the customer on a price, as ``do`` says."""
    rows = CustomerMap.objects.for_scope(desk.tenant, desk.mode)
    row = row_or_404(rows.select_related("connection__tenant", "customer"), customer_id=customer_id)
    try:
        done = asked(row.connection, lambda: _act(request, desk, row))()
        messages.success(request, done)
    except TenantsError as error:
        tell(request, error)
    return go(desk, ONE, customer_id=customer_id)


def _act(request: HttpRequest, desk: Desk, row: CustomerMap) -> str:
    match request.POST.get("do"):
        case "unmap":
            actions.unmap_customer(mapping=row, actor=desk.actor)
            return "The mapping is taken away. Usage waits from now on."
        case "subscribe":
            meters = StripeMeter.objects.for_scope(desk.tenant, desk.mode).select_related("tenant")
            meter = meters.filter(pk=request.POST.get("meter", ""), status=StripeMeter.Status.ACTIVE).first()
            if meter is None:
                raise NotConnected("that meter is not in use any more")
            subscribe(
                mapping=row,
                meter=meter,
                actor=desk.actor,
                subscription_id=request.POST.get("subscription", "").strip(),
            )
            return "The price is on a subscription: usage will be invoiced."
        case _:
            fresh = actions.refresh_mapping(row)
            return f"Read again: {fresh.get_state_display().lower()}."
