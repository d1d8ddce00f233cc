"""What the next invoice comes to, read from Stripe: it grows with usage, is asked for seldom, and fails politely."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.core.cache import cache
from django.test import override_settings

from billing.models import CustomerMap, StripeConnection
from billing.stripe.catalog import MeterTerms, set_up_meter, subscribe
from billing.stripe.invoices import on_finalized
from billing.stripe.keys import gateway_of
from billing.stripe.mapping import create_buyer
from tests.billing.stripe.conftest import Stripe
from tests.factories import ACTOR, Holding, make_customer
from tests.people import Browser, browser_of, make_member, text_of


@pytest.fixture(autouse=True)
def _static_files_are_not_collected() -> Iterator[None]:
    cache.clear()
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


@pytest.fixture
def viewer(acme: Holding) -> Browser:
    return browser_of(make_member(acme.tenant, role="viewer"))


@pytest.fixture
def mapping(connection: StripeConnection, acme: Holding) -> CustomerMap:
    meter = set_up_meter(connection=connection, actor=ACTOR, terms=MeterTerms(currency="usd")).row
    made = create_buyer(connection=connection, customer=acme.customer, actor=ACTOR, email="").row
    return subscribe(mapping=made, meter=meter, actor=ACTOR).row


def use(stripe: Stripe, mapping: CustomerMap, cents: int) -> None:
    """Have Stripe count usage, now on its clock."""
    meter = mapping.connection.meters.get()
    at = datetime.fromtimestamp(stripe.told("clock")["now"], UTC)
    outcome = gateway_of(mapping.connection).send_meter_event(
        meter.event_name, f"um1-{cents}", value=cents, stripe_customer_id=mapping.stripe_customer_id, at=at
    )
    assert outcome.is_delivered
    stripe.sim("clock", advance_s=600)


def test_the_next_invoice_grows_and_is_not_asked_for_at_every_look(
    here: Stripe, mapping: CustomerMap, viewer: Browser
) -> None:
    who = {"customer_id": mapping.customer_id}
    assert "0.00 USD" in text_of(viewer.get("stripe_invoice", **who))
    use(here, mapping, 1234)
    assert "12.34 USD" not in text_of(viewer.get("stripe_invoice", **who))
    cache.clear()
    page = text_of(viewer.get("stripe_invoice", **who))
    assert page.count("12.34 USD") == 2
    assert "1234" in page
    assert "LLM usage" in page


def test_a_draft_of_the_last_period_stands_before_the_next_invoice(
    here: Stripe, mapping: CustomerMap, viewer: Browser
) -> None:
    use(here, mapping, 500)
    assert mapping.period_end is not None
    here.sim("clock", now=mapping.period_end.timestamp() + 60)
    page = text_of(viewer.get("stripe_invoice", customer_id=mapping.customer_id))
    assert (
        page.index("5.00 USD")
        < page.index("The next invoice")
        < page.index("0.00 USD", page.index("The next"))
    )
    assert "Becomes final" in page


def test_stripe_away_or_nobody_there_is_said(
    here: Stripe, mapping: CustomerMap, acme: Holding, viewer: Browser
) -> None:
    other = make_customer(acme.tenant, "acme-2")
    assert "Nobody at Stripe yet" in text_of(viewer.get("stripe_invoice", customer_id=other.pk))
    here.sim("faults", kind="error_500", times=9)
    page = text_of(viewer.get("stripe_invoice", customer_id=mapping.customer_id))
    assert "Stripe did not say" in page
    assert "None yet" in page


def test_a_final_invoice_is_shown_beside_what_was_pushed(
    here: Stripe, mapping: CustomerMap, viewer: Browser
) -> None:
    use(here, mapping, 700)
    assert mapping.period_end is not None
    here.sim("clock", now=mapping.period_end.timestamp() + 7200)
    # The first is of the subscription's beginning, for nothing.
    paid = gateway_of(mapping.connection).invoices(subscription=mapping.subscription_id, status="paid")
    invoice = max(paid, key=lambda one: one.total_minor)
    assert on_finalized(mapping.connection, invoice.id) == "closed"
    page = text_of(viewer.get("stripe_invoice", customer_id=mapping.customer_id))
    assert invoice.id in page
    assert ">700<" in page
    # Nothing was pushed by us: what Stripe counted came from elsewhere.
    assert "differs" in page
