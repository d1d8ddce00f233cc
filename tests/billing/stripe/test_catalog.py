"""What is made at Stripe is made once, what is adopted would count and cost exactly what we send."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from billing.errors import StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.stripe.catalog import (
    MeterTerms,
    adoptable_meters,
    archive_meter,
    set_up_meter,
    subscribe,
    waiting_for_price,
)
from billing.stripe.keys import gateway_of
from billing.stripe.mapping import map_customer, refresh_mapping
from tenants.errors import AlreadyExists, InvalidInput, WrongState
from tests.billing.stripe.conftest import Stripe
from tests.factories import ACTOR, Holding

SUM = {"default_aggregation[formula]": "sum"}


def set_up(connection: StripeConnection, currency: str = "usd", **terms: str) -> StripeMeter:
    """Set up a currency."""
    full = MeterTerms(currency=currency, **terms)
    return set_up_meter(connection=connection, actor=ACTOR, terms=full).row


def mapped(connection: StripeConnection, holding: Holding, stripe_customer_id: str) -> CustomerMap:
    """Map a holding's customer."""
    return map_customer(
        connection=connection, customer=holding.customer, actor=ACTOR, stripe_customer_id=stripe_customer_id
    ).row


@pytest.mark.parametrize(("currency", "unit_minor"), [("usd", 1), ("jpy", 1), ("kwd", 10)])
def test_a_currency_gets_a_summing_meter_and_a_price_of_one_unit(
    connection: StripeConnection, currency: str, unit_minor: int
) -> None:
    row = set_up(connection, currency)
    gateway = gateway_of(connection)
    meter, price = gateway.meter(row.stripe_meter_id), gateway.price(row.price_id)
    assert (meter.formula, meter.customer_key, meter.value_key) == ("sum", "stripe_customer_id", "value")
    assert (price.currency, price.unit_amount_minor, row.unit_minor) == (
        currency,
        Decimal(unit_minor),
        unit_minor,
    )
    assert (price.meter_id, price.is_metered) == (meter.id, True)


@pytest.mark.parametrize("broken_at", ["/v1/products", "/v1/prices"])
def test_a_set_up_that_broke_off_is_done_again_with_what_is_there(
    here: Stripe, connection: StripeConnection, broken_at: str
) -> None:
    here.fault("unavailable_503", path=f"^{broken_at}$", method="POST")
    with pytest.raises(StripeFailed):
        set_up(connection)
    assert not StripeMeter.objects.exists()
    row = set_up(connection)
    gateway = gateway_of(connection)
    assert [meter.id for meter in gateway.meters()] == [row.stripe_meter_id]
    assert [price.id for price in gateway.prices_of(row.stripe_meter_id, "usd")] == [row.price_id]


def test_a_currency_has_one_meter_until_that_is_archived(connection: StripeConnection) -> None:
    row = set_up(connection)
    with pytest.raises(AlreadyExists):
        set_up(connection)
    archive_meter(meter=row, actor=ACTOR)
    again = set_up(connection)
    assert (again.pk, again.status) == (row.pk, "active")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"default_aggregation[formula]": "count"}, "count of values"),
        ({"default_aggregation[formula]": "last"}, "last of values"),
        ({**SUM, "event_time_window": "hour"}, "one value per hour"),
        ({**SUM, "value_settings[event_payload_key]": "cents"}, "'cents'"),
        ({**SUM, "customer_mapping[event_payload_key]": "who", "customer_mapping[type]": "by_id"}, "'who'"),
    ],
    ids=["count", "last", "window", "value key", "customer key"],
)
def test_a_meter_that_would_count_otherwise_is_not_adopted(
    here: Stripe, connection: StripeConnection, more: dict[str, str], said: str
) -> None:
    found = here.post("/v1/billing/meters", display_name="Theirs", event_name="theirs", **more)
    assert adoptable_meters(connection) == []
    with pytest.raises(InvalidInput, match=said):
        set_up(connection, meter_id=found["id"])


def test_a_good_meter_is_adopted_and_made_active_again(here: Stripe, connection: StripeConnection) -> None:
    wanted = here.meter("theirs")
    here.post(f"/v1/billing/meters/{wanted}/deactivate")
    row = set_up(connection, meter_id=wanted)
    assert (row.event_name, row.adopted) == ("theirs", True)
    assert gateway_of(connection).meter(wanted).is_active


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ({"unit_amount": "2"}, "exactly 1"),
        ({"unit_amount_decimal": "0.5"}, "exactly 1"),
        ({"unit_amount": "1", "currency": "eur"}, "in eur"),
        (
            {"unit_amount": "1", "transform_quantity[divide_by]": "10", "transform_quantity[round]": "up"},
            "exactly 1",
        ),
    ],
    ids=["two cents", "half a cent", "euro", "rounded"],
)
def test_a_price_that_would_invoice_otherwise_is_not_adopted(
    here: Stripe, connection: StripeConnection, price: dict[str, Any], said: str
) -> None:
    meter_id = here.meter("theirs")
    recurring = {
        "recurring[interval]": "month",
        "recurring[usage_type]": "metered",
        "recurring[meter]": meter_id,
    }
    terms = {"currency": "usd", "product_data[name]": "X", **recurring, **price}
    theirs = here.post("/v1/prices", **terms)
    with pytest.raises(InvalidInput, match=said):
        set_up(connection, meter_id=meter_id, price_id=theirs["id"])


def test_customers_without_the_price_are_listed_and_put_on_it_once(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    meter = set_up(connection)
    mapping = mapped(connection, acme, here.customer())
    assert waiting_for_price(meter) == [mapping]
    fresh = subscribe(mapping=mapping, meter=meter, actor=ACTOR).row
    assert (fresh.state, fresh.subscription_status, waiting_for_price(meter)) == ("mapped", "active", [])
    with pytest.raises(WrongState):
        subscribe(mapping=mapping, meter=meter, actor=ACTOR)
    assert len(gateway_of(connection).subscriptions_of(mapping.stripe_customer_id)) == 1


def test_who_was_mapped_before_waits_for_the_only_currency(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    mapping = mapped(connection, acme, here.customer())
    assert waiting_for_price(set_up(connection, "eur")) == [mapping]
    assert waiting_for_price(set_up(connection, "jpy")) == []


def test_the_price_joins_a_subscription_that_is_there(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    meter, other = set_up(connection), here.meter("other")
    customer = here.customer()
    theirs = here.subscription(other, customer)
    mapping = mapped(connection, acme, customer)
    fresh = subscribe(mapping=mapping, meter=meter, actor=ACTOR, subscription_id=theirs["id"]).row
    assert (fresh.state, fresh.subscription_id) == ("mapped", theirs["id"])
    assert fresh.period_end is not None


def test_another_customers_subscription_is_refused(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    meter, other = set_up(connection), here.meter("other")
    anothers = here.subscription(other, here.customer())
    mapping = mapped(connection, acme, here.customer())
    with pytest.raises(InvalidInput, match="no subscription of this customer"):
        subscribe(mapping=mapping, meter=meter, actor=ACTOR, subscription_id=anothers["id"])
    assert refresh_mapping(mapping).state == "no_subscription"
