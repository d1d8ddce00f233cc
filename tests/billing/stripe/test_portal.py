"""The portal's pages about Stripe: the steps from nothing to a customer that is invoiced, each without JavaScript."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.test import override_settings

from billing.models import CustomerMap, StripeConnection, StripeMeter
from tests.billing.stripe.conftest import Stripe
from tests.factories import Holding, make_customer
from tests.people import Browser, browser_of, make_member, text_of


@pytest.fixture(autouse=True)
def _static_files_are_not_collected() -> Iterator[None]:
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


@pytest.fixture
def browser(acme: Holding) -> Browser:
    return browser_of(make_member(acme.tenant, role="finance"))


def test_the_way_from_nothing_to_an_invoiced_customer(here: Stripe, acme: Holding, browser: Browser) -> None:
    # given nothing, the page says what to do
    empty = text_of(browser.get("stripe_connection"))
    assert "Not connected to Stripe" in empty
    assert "Meter events: Write" in empty
    assert "Simulated" in empty
    # when a key is given, a currency set up, and the customer made and put on the price
    assert browser.post("stripe_connection", {"api_key": "rk_test_sim"}).status_code == 302
    assert browser.post("stripe_meter_new", {"currency": "USD", "meter_id": ""}).status_code == 302
    waiting = text_of(browser.get("stripe_customers"))
    assert "not mapped" in waiting
    who = {"customer_id": acme.customer.pk}
    assert browser.post("stripe_customer", {"email": "a@acme.example"}, **who).status_code == 302
    meter = StripeMeter.objects.get()
    assert "Put it on the USD price" in text_of(browser.get("stripe_customer", **who))
    assert (
        browser.post("stripe_customer_act", {"do": "subscribe", "meter": meter.pk}, **who).status_code == 302
    )
    # then it is mapped, and everything checks out
    assert CustomerMap.objects.get().state == "mapped"
    checked = text_of(browser.post("stripe_check"))
    assert "What was checked" in checked
    assert ">failed<" not in checked


def test_a_key_that_is_refused_is_told_at_its_field(here: Stripe, browser: Browser) -> None:
    answer = browser.post("stripe_connection", {"api_key": "rk_live_sim"})
    assert answer.status_code == 422
    assert "live mode" in text_of(answer)
    assert "rk_live_sim" not in text_of(answer)


def test_a_customer_is_found_and_chosen(
    here: Stripe, connection: StripeConnection, acme: Holding, browser: Browser
) -> None:
    wanted = here.customer(email="x@acme.example", name="Acme Inc")
    who = {"customer_id": acme.customer.pk}
    assert wanted in text_of(browser.get("stripe_customer", query="?q=x@acme.example", **who))
    browser.post("stripe_customer", {"stripe_customer_id": wanted}, **who)
    assert CustomerMap.objects.get().stripe_customer_id == wanted
    other = make_customer(acme.tenant, "acme-2")
    taken = browser.post("stripe_customer", {"stripe_customer_id": wanted}, customer_id=other.pk)
    assert taken.status_code == 422
    assert "another customer" in text_of(taken)
    browser.post("stripe_customer_act", {"do": "unmap"}, **who)
    assert CustomerMap.objects.get().state == "unmapped"


def test_a_file_maps_and_tells_each_line(
    here: Stripe, connection: StripeConnection, acme: Holding, browser: Browser
) -> None:
    wanted = here.customer()
    text = f"external_id,stripe_customer_id\n{acme.customer.external_id},{wanted}\nnobody,cus_x\n"
    file = io.BytesIO(text.encode())
    file.name = "maps.csv"
    told = text_of(browser.post("stripe_customers", {"file": file}))
    assert "there is no customer with this external_id" in told
    assert CustomerMap.objects.get().stripe_customer_id == wanted
    assert wanted in text_of(browser.get("stripe_customers_file"))


def test_customers_that_carry_our_id_are_found(
    here: Stripe, connection: StripeConnection, acme: Holding, browser: Browser
) -> None:
    wanted = here.customer(**{"metadata[farebox_external_id]": acme.customer.external_id})
    browser.post("stripe_customers_match")
    assert CustomerMap.objects.get().stripe_customer_id == wanted


def test_a_broken_connection_is_loud_and_a_new_key_mends_it(
    here: Stripe, connection: StripeConnection, browser: Browser
) -> None:
    here.sim("keys", key="rk_test_sim", status="revoked")
    assert "Stripe refuses the key" in text_of(browser.post("stripe_check"))
    here.sim("keys", key="rk_test_next")
    assert browser.post("stripe_connection", {"api_key": "rk_test_next"}).status_code == 302
    assert "Stripe refuses the key" not in text_of(browser.get("stripe_connection"))


def test_stripe_away_is_told_and_no_page_falls_over(
    here: Stripe, connection: StripeConnection, acme: Holding, browser: Browser
) -> None:
    here.fault("unavailable_503", path=".*", times=0)
    who = {"customer_id": acme.customer.pk}
    pages = [
        browser.get("stripe_connection"),
        browser.get("stripe_customers"),
        browser.get("stripe_customer", query="?q=cus_1", **who),
        browser.get("stripe_meter_new"),
        browser.post("stripe_check"),
        browser.post("stripe_customer", {"stripe_customer_id": "cus_1"}, **who),
    ]
    assert [page.status_code for page in pages] == [200, 200, 200, 200, 200, 422]
    here.http.delete("/_sim/faults")


def test_the_webhook_is_registered_and_renewed(
    here: Stripe, connection: StripeConnection, browser: Browser
) -> None:
    browser.post("stripe_hooks")
    first = StripeConnection.objects.get()
    browser.post("stripe_hooks")
    second = StripeConnection.objects.get()
    assert first.webhook_endpoint_id != second.webhook_endpoint_id
    assert [each["until"] is None for each in second.webhook_secrets] == [True, True, False, False]
    assert "Renew the signing secrets" in text_of(browser.get("stripe_connection"))


@pytest.mark.parametrize("role", ["viewer", "support", "developer"])
def test_who_may_not_set_up_billing_may_look_at_it(
    connection: StripeConnection, acme: Holding, role: str
) -> None:
    browser = browser_of(make_member(acme.tenant, role=role))
    for name in ("stripe_connection", "stripe_customers"):
        assert browser.get(name).status_code == 200
        assert browser.post(name, {"api_key": "rk_test_sim"}).status_code == 403
    for name in (
        "stripe_check",
        "stripe_hooks",
        "stripe_disconnect",
        "stripe_meter_new",
        "stripe_customers_match",
    ):
        assert browser.post(name).status_code == 403


def test_meters_and_the_connection_end_after_asking(
    here: Stripe, connection: StripeConnection, browser: Browser
) -> None:
    browser.post("stripe_meter_new", {"currency": "eur"})
    meter = StripeMeter.objects.get()
    assert "Archive this meter?" in text_of(browser.get("stripe_meter_archive", meter_id=meter.pk))
    browser.post("stripe_meter_archive", meter_id=meter.pk)
    assert "Disconnect from Stripe?" in text_of(browser.get("stripe_disconnect"))
    browser.post("stripe_disconnect")
    assert "Not connected" in text_of(browser.get("stripe_connection"))
    meter.refresh_from_db()
    assert meter.status == "archived"
