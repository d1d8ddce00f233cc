"""The connection to Stripe, step by step: a key, a meter per currency, customers, events; and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from billing.errors import StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.portal.stripe_forms import MeterForm, StripeKeyForm
from billing.stripe import catalog, connecting
from billing.stripe.doctor import examine
from billing.stripe.hooks import register_hooks, why_unreachable
from billing.stripe.keys import is_simulated
from billing.stripe.mapping import unmapped_customers
from billing.stripe.objects import Meter
from billing.stripe.scopes import NEEDED, USEFUL, described
from tenants.errors import TenantsError
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import attempt, go, page, row_or_404, tell

Done = TypeVar("Done")
PAGE = "stripe_connection"


def connection_at(desk: Desk) -> StripeConnection | None:
    """The desk's connection, unless it was ended."""
    rows = StripeConnection.objects.for_scope(desk.tenant, desk.mode).select_related("tenant")
    return rows.exclude(status=StripeConnection.Status.DISCONNECTED).first()


def asked(connection: StripeConnection, action: Callable[[], Done]) -> Callable[[], Done]:
    """Wrap an action that asks Stripe, so that the connection hears of a refused key."""

    def ask() -> Done:
        with connecting.noting(connection):
            return action()

    return ask


@at_desk()
def stripe_connection(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Show where billing through Stripe stands; a POST gives the key, the first or another."""
    row = connection_at(desk)
    form = StripeKeyForm(request.POST or None)
    if request.method == "POST":
        desk.require(Right.BILLING)
        if form.is_valid() and _take_key(form, desk, row):
            messages.success(
                request, "Stripe takes the key. What it may do was tried, and nothing was changed there."
            )
            return go(desk, PAGE)
    return _show(request, desk, row, form)


def _take_key(form: StripeKeyForm, desk: Desk, row: StripeConnection | None) -> bool:
    key = form.cleaned_data["api_key"]
    if row is None:
        change = attempt(
            form,
            lambda: connecting.connect(tenant=desk.tenant, mode=desk.mode, actor=desk.actor, api_key=key),
        )
    else:
        change = attempt(form, lambda: connecting.rotate_key(connection=row, actor=desk.actor, api_key=key))
    return change is not None


def _show(
    request: HttpRequest, desk: Desk, row: StripeConnection | None, form: forms.Form, *, checks: object = None
) -> HttpResponse:
    context = {
        "form": form,
        "simulated": is_simulated(),
        "needed": NEEDED,
        "useful": USEFUL,
        "checks": checks,
    }
    status = 422 if form.errors else 200
    if row is None:
        return page(request, desk, "billing/stripe_connect.html", context, status=status)
    meters = list(StripeMeter.objects.filter(connection=row).exclude(status=StripeMeter.Status.ARCHIVED))
    states = CustomerMap.objects.filter(connection=row).order_by().values_list("state").annotate(Count("id"))
    context |= {
        "connection": row,
        "meters": meters,
        "missing": [described(name) for name in row.scopes_missing],
        "counts": dict(states),
        "unmapped": unmapped_customers(row).count(),
        "unreachable": why_unreachable(),
    }
    return page(request, desk, "billing/stripe_connection.html", context, status=status)


@require_POST
@at_desk(Right.BILLING)
def stripe_check(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Look over the connection and show every check on its page."""
    row = connection_at(desk)
    if row is None:
        return go(desk, PAGE)
    checks = None
    try:
        row = connecting.recheck(connection=row, actor=desk.actor).row
        checks = list(examine(row))
    except TenantsError as error:
        tell(request, error)
    return _show(request, desk, row, StripeKeyForm(), checks=checks)


@require_POST
@at_desk(Right.BILLING)
def stripe_hooks(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Have Stripe send its events here, or renew the secrets with which it signs them."""
    row = connection_at(desk)
    if row is not None:
        connection = row
        try:
            asked(connection, lambda: register_hooks(connection=connection, actor=desk.actor))()
            messages.success(request, "Stripe sends its events here from now on.")
        except TenantsError as error:
            tell(request, error)
    return go(desk, PAGE)


@at_desk(Right.BILLING)
def stripe_disconnect(request: HttpRequest, desk: Desk) -> HttpResponse:
    """End the connection, after asking."""
    row = connection_at(desk)
    if row is None:
        return go(desk, PAGE)
    if request.method == "POST":
        connecting.disconnect(connection=row, actor=desk.actor)
        messages.success(request, "Disconnected. The key is forgotten, and usage waits here.")
        return go(desk, PAGE)
    return page(request, desk, "billing/stripe_disconnect.html", {"connection": row})


@at_desk(Right.BILLING)
def stripe_meter_new(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Make or adopt a meter with its product and price for a currency."""
    row = connection_at(desk)
    if row is None:
        return go(desk, PAGE)
    form = MeterForm(request.POST or None, adoptable=_adoptable(request, row))
    if request.method == "POST" and form.is_valid():
        terms = catalog.MeterTerms(
            currency=form.cleaned_data["currency"], meter_id=form.cleaned_data["meter_id"]
        )
        change = attempt(
            form, asked(row, lambda: catalog.set_up_meter(connection=row, actor=desk.actor, terms=terms))
        )
        if change is not None:
            messages.success(
                request, f"Usage in {terms.currency.upper()} can be invoiced: meter and price are there."
            )
            return go(desk, PAGE)
    return page(
        request, desk, "billing/stripe_meter_new.html", {"form": form}, status=422 if form.errors else 200
    )


def _adoptable(request: HttpRequest, row: StripeConnection) -> list[Meter]:
    try:
        return asked(row, lambda: catalog.adoptable_meters(row))()
    except StripeFailed as error:
        tell(request, error)
        return []


@at_desk(Right.BILLING)
def stripe_meter_archive(request: HttpRequest, desk: Desk, meter_id: str) -> HttpResponse:
    """Send no more usage to a meter, after asking."""
    meters = StripeMeter.objects.for_scope(desk.tenant, desk.mode).select_related("tenant")
    meter = row_or_404(meters, pk=meter_id)
    if request.method == "POST":
        catalog.archive_meter(meter=meter, actor=desk.actor)
        messages.success(request, f"No more usage goes to {meter.event_name}.")
        return go(desk, PAGE)
    return page(request, desk, "billing/stripe_meter_archive.html", {"meter": meter})
