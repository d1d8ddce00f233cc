"""The cases about meters and prices that change under a push."""

from __future__ import annotations

import pytest
from django.utils import timezone

from billing.closing.figures import standing
from billing.models import Push, StripeMeter
from billing.pushing.releasing import release_ready
from tests.billing.pushing.shop import Shop, make_due, states, unpaced

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_case_11_a_meter_that_is_off_holds_its_pushes_until_another_takes_its_place(shop: Shop) -> None:
    shop.sealed(3)
    shop.stripe.post(f"/v1/billing/meters/{shop.meter.stripe_meter_id}/deactivate")
    shop.send_due()
    assert (states(), Push.objects.get().why) == (["held"], "meter_broken")
    assert StripeMeter.objects.get().status == "broken"

    # Made anew there under another id, the name being free again: the held value goes to it.
    StripeMeter.objects.update(status="archived")
    made = shop.stripe.meter("spend_usd_2")
    StripeMeter.objects.create(
        tenant=shop.till.tenant, mode="test", connection=shop.connection, currency="usd",
        stripe_meter_id=made, event_name="spend_usd_2",
    )  # fmt: skip
    release_ready(timezone.now())
    unpaced(shop)
    make_due()
    shop.send_due()

    assert sorted(states()) == ["accepted", "void"]
    assert [each["value"] for each in shop.events() if each["state"] == "counted"] == ["3"]


def test_what_was_paid_beforehand_is_no_difference(shop: Shop) -> None:
    shop.sealed(3)
    Push.objects.update(state="void", why="prepaid")
    found = standing(shop.till.tenant, "test", until=timezone.now())
    assert (found.is_right, found.sums[0].prepaid_units) == (True, 3)


def test_case_21_a_price_below_a_cent_is_sent_in_plain_digits(shop: Shop) -> None:
    product = shop.gateway.create_product("Usage", metadata={})
    price = shop.gateway.create_price(
        product.id, shop.meter.stripe_meter_id, currency="usd", unit_amount_minor="0.0000001"
    )
    assert format(price.unit_amount_minor, "f") == "0.0000001"
    [told] = shop.stripe.get("/v1/prices", product=product.id)["data"]
    assert told["unit_amount_decimal"] == "0.0000001"
