"""Looks over a connection from end to end and says, check by check, what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count

from billing.errors import StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.stripe import events
from billing.stripe.catalog import waiting_for_price, why_not_adoptable, why_wrong_price
from billing.stripe.gateway import API_VERSION, Gateway
from billing.stripe.hooks import why_unreachable
from billing.stripe.keys import gateway_even_if_broken
from billing.stripe.mapping import unmapped_customers
from billing.stripe.scopes import SCOPES, find_scopes


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``advice`` is for what is not ``ok``; ``is_serious`` when usage is kept back by it."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    is_serious: bool = True


def examine(connection: StripeConnection) -> Iterator[Check]:
    """Make every check that can be made; Stripe is asked about a dozen times and nothing is changed."""
    yield Check(
        "version", connection.api_version == API_VERSION, connection.api_version,
        f"this release was written for {API_VERSION}; rotate the key to take it up", is_serious=False,
    )  # fmt: skip
    try:
        gateway = gateway_even_if_broken(connection)
        usable = True
        for check in _key(connection, gateway):
            yield check
            usable = usable and (check.ok or check.name != "key")
        if usable:
            yield from _meters(connection, gateway)
            yield from _hooks(connection, gateway)
    except StripeFailed as error:
        yield Check(
            "stripe",
            ok=False,
            found=str(error),
            advice="see that this machine reaches Stripe, then try again",
        )
    yield from _customers(connection)


def _key(connection: StripeConnection, gateway: Gateway) -> Iterator[Check]:
    found = find_scopes(gateway)
    if found.rejected is not None:
        yield Check(
            "key",
            ok=False,
            found=found.rejected.detail,
            advice="make another restricted key and rotate to it",
        )
        return
    stored = f"ends in {connection.key_last4}; {connection.status}"
    yield Check(
        "key", connection.status == StripeConnection.Status.OK, stored,
        "Stripe takes the key again: press Check on the connection's page",
    )  # fmt: skip
    for scope in SCOPES:
        has = scope.name not in found.missing
        advice = f"give the key “{scope.title}” in Stripe's Dashboard, to {scope.purpose}"
        required = scope.name in found.missing_required
        yield Check(scope.name, has, "allowed" if has else "missing", advice, is_serious=required)


def _meters(connection: StripeConnection, gateway: Gateway) -> Iterator[Check]:
    rows = list(StripeMeter.objects.filter(connection=connection).exclude(status=StripeMeter.Status.ARCHIVED))
    yield Check("meter", bool(rows), f"{len(rows)} in use", "set up a meter: without one nothing is invoiced")
    for row in rows:
        problem = _problem_of(row, gateway)
        advice = "archive it here and set up the currency again"
        yield Check(
            f"meter {row.event_name}", problem is None, problem or "sums, and its price is right", advice
        )


def _problem_of(row: StripeMeter, gateway: Gateway) -> str | None:
    try:
        meter, price = gateway.meter(row.stripe_meter_id), gateway.price(row.price_id)
    except StripeFailed as error:
        return str(error)
    if not meter.is_active:
        return "it is deactivated at Stripe"
    return why_not_adoptable(meter) or why_wrong_price(
        price, meter.id, currency=row.currency, unit_minor=row.unit_minor
    )


def _hooks(connection: StripeConnection, gateway: Gateway) -> Iterator[Check]:
    if not connection.webhook_endpoint_id:
        reason = why_unreachable()
        found = "events are polled" + (f": {reason}" if reason else "")
        yield Check(
            "events", reason is not None, found, "register the webhook: polling is slower", is_serious=False
        )
        return
    try:
        known = {each.id: each for each in events.endpoints(gateway)}
    except StripeFailed as error:
        yield Check(
            "events",
            ok=False,
            found=str(error),
            advice="give the key “Webhook endpoints: Read”",
            is_serious=False,
        )
        return
    endpoint = known.get(connection.webhook_endpoint_id)
    fine = endpoint is not None and endpoint.is_enabled
    state = "registered" if fine else "disabled at Stripe" if endpoint else "gone from Stripe"
    yield Check("events", fine, state, "register the webhook again", is_serious=False)


def _customers(connection: StripeConnection) -> Iterator[Check]:
    unmapped = unmapped_customers(connection).count()
    advice = "map them, or their usage waits and is not invoiced"
    yield Check("unmapped customers", not unmapped, str(unmapped), advice)
    rows = CustomerMap.objects.filter(connection=connection).order_by()
    counted = dict(rows.values_list("state").annotate(Count("id")))
    deleted = counted.get(CustomerMap.State.DELETED, 0)
    yield Check("deleted customers", not deleted, str(deleted), "map them to customers who exist")
    waiting = {
        mapping.customer.external_id
        for meter in StripeMeter.objects.filter(connection=connection, status=StripeMeter.Status.ACTIVE)
        for mapping in waiting_for_price(meter)
    }
    named = ", ".join(sorted(waiting)[:5]) + (" …" if len(waiting) > 5 else "")
    found = f"{len(waiting)}{f': {named}' if named else ''}"
    yield Check("without the price", not waiting, found, "put the price on a subscription of each")
