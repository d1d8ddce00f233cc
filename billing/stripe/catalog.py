"""What must be at Stripe before usage can be invoiced: per currency a meter that sums, a product and a metered price.

Each is looked for first and made only where it is missing: a set-up that broke off half-way is simply done again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.models.stripe_meter import USAGE_LINE
from billing.pushing.currencies import unit_minor_of
from billing.stripe.gateway import CUSTOMER_KEY, VALUE_KEY, Gateway
from billing.stripe.keys import gateway_of
from billing.stripe.mapping import refresh_mapping
from billing.stripe.objects import Meter, Price
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.errors import AlreadyExists, InvalidInput, WrongState

SHOWN = (
    "currency", "line", "unit_minor", "stripe_meter_id", "event_name", "product_id", "price_id", "adopted", "status",
)  # fmt: skip
PRODUCT_NAME = "LLM usage"
_CURRENCY = re.compile(r"[a-z]{3}")
_LINE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ACTIVE, _ARCHIVED = StripeMeter.Status.ACTIVE, StripeMeter.Status.ARCHIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterTerms:
    """What to set up. With ``meter_id`` that meter is adopted, with ``price_id`` that price; else they are made."""

    currency: str
    line: str = USAGE_LINE
    meter_id: str = ""
    price_id: str = ""

    @property
    def event_name(self) -> str:
        """The name that our own meter's events have."""
        return f"farebox_{self.line}_{self.currency}"


def set_up_meter(*, connection: StripeConnection, actor: Actor, terms: MeterTerms) -> Change[StripeMeter]:
    """Make or adopt a meter with its product and price.

    Raises: InvalidInput for what cannot be adopted; AlreadyExists when the currency has its meter; StripeFailed.
    """
    _check(terms)
    _refuse_second(connection, terms)
    gateway = gateway_of(connection)
    meter, was_there = _meter_for(gateway, terms)
    unit_minor = unit_minor_of(terms.currency)
    price = _price_for(gateway, meter, terms, unit_minor=unit_minor)
    try:
        with transaction.atomic():
            # A meter that was archived here and is taken up again keeps its row.
            row, created = StripeMeter.objects.update_or_create(
                connection=connection,
                stripe_meter_id=meter.id,
                defaults={
                    "tenant": connection.tenant, "mode": connection.mode, "currency": terms.currency,
                    "line": terms.line, "unit_minor": unit_minor, "event_name": meter.event_name,
                    "product_id": price.product_id, "price_id": price.id, "adopted": was_there,
                    "status": _ACTIVE, "why": "",
                },
            )  # fmt: skip
            trail = Trail(connection.tenant, connection.mode, actor)
            trail.audit("stripe_meter.set_up", row, after=shown(row, *SHOWN))
            _take_only_currency(row)
            return trail.done(row, created=created)
    except IntegrityError as error:
        raise AlreadyExists(f"{terms.currency} got its meter from somebody else just now") from error


@transaction.atomic
def archive_meter(*, meter: StripeMeter, actor: Actor) -> Change[StripeMeter]:
    """Send no more usage to a meter. At Stripe it stays as it is: its past must be invoiced."""
    row = StripeMeter.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=meter.pk)
    before = shown(row, *SHOWN)
    row.status = _ARCHIVED
    row.save(update_fields=["status", "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("stripe_meter.archive", row, before=before, after=shown(row, *SHOWN))
    return trail.done(row)


def adoptable_meters(connection: StripeConnection) -> list[Meter]:
    """The account's meters that add up as ours do. Raises: StripeFailed."""
    return [meter for meter in gateway_of(connection).meters() if why_not_adoptable(meter) is None]


def why_not_adoptable(meter: Meter) -> str | None:
    """Why a meter could not count what we send; None when it could."""
    if meter.formula != "sum":
        return f"it takes the {meter.formula} of values, not their sum"
    if meter.time_window:
        return f"it keeps one value per {meter.time_window} rather than all of them"
    if (meter.customer_key, meter.value_key) != (CUSTOMER_KEY, VALUE_KEY):
        return (
            f"it reads {meter.customer_key!r} and {meter.value_key!r}, not {CUSTOMER_KEY!r} and {VALUE_KEY!r}"
        )
    return None


def waiting_for_price(meter: StripeMeter) -> list[CustomerMap]:
    """The mapped customers whose subscriptions do not have a meter's price: their usage would not be invoiced."""
    rows = CustomerMap.objects.filter(
        connection=meter.connection_id, currency=meter.currency, state=CustomerMap.State.NO_SUBSCRIPTION
    )
    return list(rows.select_related("customer").order_by("created_at", "id"))


def subscribe(
    *, mapping: CustomerMap, meter: StripeMeter, actor: Actor, subscription_id: str = ""
) -> Change[CustomerMap]:
    """Put a customer on a meter's price: as an item of a subscription it has, else with a subscription of its own.

    Raises: WrongState when it is on it already or cannot be; InvalidInput for another's subscription; StripeFailed.
    """
    fresh = refresh_mapping(mapping)
    if fresh.state != CustomerMap.State.NO_SUBSCRIPTION or not meter.price_id:
        raise WrongState(f"{mapping.customer.external_id} is {fresh.state} at Stripe")
    gateway = gateway_of(mapping.connection)
    if subscription_id:
        _check_subscription(gateway, fresh, meter, subscription_id)
        gateway.add_item(subscription_id, meter.price_id)
    else:
        metadata = {"farebox_customer": mapping.customer_id}
        # A second press of the button is the first one; a refusal is not kept for longer than it takes to mend it.
        key = f"farebox-subscribe-{fresh.pk}-{meter.pk}-{timezone.now():%Y%m%d%H%M}"
        gateway.create_subscription(fresh.stripe_customer_id, meter.price_id, metadata=metadata, key=key)
    row = refresh_mapping(fresh)
    trail = Trail(meter.tenant, meter.mode, actor)
    trail.audit("customer_map.subscribe", row, after={"price_id": meter.price_id, "state": row.state})
    return trail.done(row)


def _check(terms: MeterTerms) -> None:
    if not _CURRENCY.fullmatch(terms.currency):
        raise InvalidInput("currency", f"{terms.currency[:20]!r} is no currency such as usd")
    if not _LINE.fullmatch(terms.line):
        raise InvalidInput("line", f"{terms.line[:60]!r}: a line's name is up to 40 of a-z 0-9 _ -")


def _refuse_second(connection: StripeConnection, terms: MeterTerms) -> None:
    rows = StripeMeter.objects.filter(connection=connection, currency=terms.currency, line=terms.line)
    if rows.exclude(status=_ARCHIVED).exists():
        raise AlreadyExists(f"there is a meter for {terms.currency} already; archive it first")


def _take_only_currency(meter: StripeMeter) -> None:
    """While there is one currency, customers who are billed in none yet wait for that one."""
    rows = StripeMeter.objects.filter(connection=meter.connection).exclude(status=_ARCHIVED)
    if rows.exclude(pk=meter.pk).exists():
        return
    waiting = CustomerMap.objects.filter(connection=meter.connection, state=CustomerMap.State.NO_SUBSCRIPTION)
    waiting.filter(subscription_id="").update(currency=meter.currency, updated_at=timezone.now())


def _meter_for(gateway: Gateway, terms: MeterTerms) -> tuple[Meter, bool]:
    """The meter to use, and whether it was there."""
    known = gateway.meters()
    if terms.meter_id:
        found = next((each for each in known if each.id == terms.meter_id), None)
        if found is None:
            raise InvalidInput("meter_id", f"the Stripe account has no meter {terms.meter_id[:64]!r}")
    else:
        # An event name is one meter's for ever, also when that meter was made by us and forgotten here.
        found = next((each for each in known if each.event_name == terms.event_name), None)
    if found is None:
        title = f"Farebox {terms.line} ({terms.currency.upper()})"
        return gateway.create_meter(terms.event_name, title), False
    reason = why_not_adoptable(found)
    if reason is not None:
        raise InvalidInput("meter_id", f"the meter {found.event_name} cannot be used: {reason}")
    return (found if found.is_active else gateway.reactivate_meter(found.id)), bool(terms.meter_id)


def _price_for(gateway: Gateway, meter: Meter, terms: MeterTerms, *, unit_minor: int) -> Price:
    if terms.price_id:
        price = gateway.price(terms.price_id)
        reason = why_wrong_price(price, meter.id, currency=terms.currency, unit_minor=unit_minor)
        if reason is not None:
            raise InvalidInput("price_id", f"the price {price.id} cannot be used: {reason}")
        return price
    for price in gateway.prices_of(meter.id, terms.currency):
        if why_wrong_price(price, meter.id, currency=terms.currency, unit_minor=unit_minor) is None:
            return price
    product = gateway.create_product(PRODUCT_NAME, metadata={"farebox_line": terms.line})
    return gateway.create_price(
        product.id, meter.id, currency=terms.currency, unit_amount_minor=format(unit_minor, "d")
    )


def why_wrong_price(price: Price, meter_id: str, *, currency: str, unit_minor: int) -> str | None:
    """Why a price would not invoice exactly what was counted; None when it would."""
    if not price.is_active:
        return "it is archived"
    if price.meter_id != meter_id or not price.is_metered:
        return "it does not bill this meter"
    if price.currency != currency:
        return f"it is in {price.currency}, not {currency}"
    if not price.is_plain or price.unit_amount_minor != unit_minor:
        return f"a unit must cost exactly {unit_minor} of the smallest coin of {currency}"
    return None


def _check_subscription(
    gateway: Gateway, mapping: CustomerMap, meter: StripeMeter, subscription_id: str
) -> None:
    own = {each.id: each for each in gateway.subscriptions_of(mapping.stripe_customer_id)}
    found = own.get(subscription_id)
    if found is None:
        raise InvalidInput("subscription_id", f"{subscription_id[:64]!r} is no subscription of this customer")
    if found.currency != meter.currency:
        raise InvalidInput(
            "subscription_id", f"it is billed in {found.currency}, the price is in {meter.currency}"
        )
