"""Invoices of periods: everything of a period reaches its draft, and nothing is billed to nobody after it is final."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import CustomerMap, PeriodClose, PeriodInvoice, Push
from billing.pushing.dispatching import push_one
from billing.pushing.sealing import seal_all
from billing.pushing.stamping import HOUR, hour_of
from billing.stripe.invoices import on_draft, on_finalized, poll_invoices
from billing.stripe.mapping import refresh_mapping
from tests.billing.pushing.conftest import CENT, shop, till
from tests.billing.pushing.shop import V2, Shop, make_due, unpaced

__all__ = ["shop", "till"]
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

MINUTE = timedelta(minutes=1)


@pytest.fixture
def period(shop: Shop) -> Shop:
    """The shop's customer with a subscription whose period ends with the hour that has just ended."""
    edge = hour_of(timezone.now())
    shop.stripe.sim("clock", now=(edge - timedelta(days=20)).timestamp(), frozen=True)
    recurring = {
        "recurring[interval]": "month", "recurring[usage_type]": "metered",
        "recurring[meter]": shop.meter.stripe_meter_id, "product_data[name]": "Usage",
    }  # fmt: skip
    price = shop.stripe.post("/v1/prices", currency="usd", unit_amount_decimal="1", **recurring)
    anchor = {"billing_cycle_anchor": int(edge.timestamp())}
    shop.stripe.post("/v1/subscriptions", customer=shop.buyer, **{"items[0][price]": price["id"]} | anchor)
    shop.meter.price_id = price["id"]
    shop.meter.save()
    refresh_mapping(CustomerMap.objects.get(customer=shop.till.customer))
    return shop


def edge_of(shop: Shop) -> datetime:
    return hour_of(timezone.now())


def turn(shop: Shop, minutes: int) -> datetime:
    """Move Stripe's clock past the edge."""
    now = edge_of(shop) + minutes * MINUTE
    shop.stripe.sim("clock", now=now.timestamp(), frozen=True)
    return now


def invoice(shop: Shop) -> Any:
    [found] = [
        each for each in shop.stripe.get("/v1/invoices")["data"] if each["billing_reason"] == "subscription_cycle"
    ]  # fmt: skip
    return found


def book_at(shop: Shop, units: int, at: datetime) -> None:
    shop.till.book(units * CENT, at=at)
    shop.till.record()


def test_a_draft_gets_what_its_period_still_has(period: Shop) -> None:
    book_at(period, 3, edge_of(period) - MINUTE)
    now = turn(period, 3)

    assert on_draft(period.connection, invoice(period)["id"], now=now) == "ready"

    row = PeriodInvoice.objects.get()
    assert (row.status, row.pushed_units, row.unproven_pushes) == ("draft", 3, 0)
    turn(period, 70)
    assert on_finalized(period.connection, invoice(period)["id"], now=turn(period, 71)) == "closed"
    row.refresh_from_db()
    assert (row.quantity_units, row.amount_minor, row.pushed_units) == (3, 3, 3)
    assert PeriodClose.objects.get().closed_until == edge_of(period)
    assert invoice(period)["subtotal"] == 3


def test_a_draft_is_held_while_something_is_unproven_and_let_go_after(period: Shop) -> None:
    book_at(period, 3, edge_of(period) - MINUTE)
    period.stripe.fault("unavailable_503", path=V2, times=0)
    created = edge_of(period)

    assert on_draft(period.connection, invoice_after(period, 5)["id"], now=turn(period, 5)) == "extended"
    assert invoice(period)["automatically_finalizes_at"] == (created + timedelta(hours=24)).timestamp()
    assert on_draft(period.connection, invoice(period)["id"], now=turn(period, 90)) == "waiting"
    assert invoice(period)["status"] == "draft"

    period.stripe.http.delete("/_sim/faults")
    unpaced(period)
    make_due()
    assert on_draft(period.connection, invoice(period)["id"], now=turn(period, 100)) == "released"
    turn(period, 111)

    assert (invoice(period)["status"], invoice(period)["subtotal"]) == ("paid", 3)


def invoice_after(shop: Shop, minutes: int) -> Any:
    turn(shop, minutes)
    return invoice(shop)


def test_without_the_right_to_hold_a_draft_only_waits(period: Shop) -> None:
    connection = period.connection
    connection.scopes_missing = ["rak_invoice_write"]
    connection.save()
    book_at(period, 3, edge_of(period) - MINUTE)
    period.stripe.fault("unavailable_503", path=V2, times=0)
    due = invoice_after(period, 5)["automatically_finalizes_at"]

    assert on_draft(connection, invoice(period)["id"], now=turn(period, 5)) == "waiting"
    assert invoice(period)["automatically_finalizes_at"] == due


def test_case_14_after_its_invoice_is_final_usage_goes_to_the_next_period(period: Shop) -> None:
    edge = edge_of(period)
    book_at(period, 3, edge - MINUTE)
    seal_all(edge + MINUTE)
    waiting = Push.objects.get()
    # Stripe was never asked while the draft was open.
    found = invoice_after(period, 61)
    assert on_finalized(period.connection, found["id"], now=turn(period, 61)) == "closed"
    book_at(period, 4, edge - 2 * MINUTE)
    seal_all(edge + 62 * MINUTE)

    make_due()
    assert push_one(waiting.pk) == "restamped"
    late = Push.objects.exclude(state="void")

    assert all(push.stamp_at >= edge and push.late_from < edge for push in late)
    assert sorted(push.value_units for push in late) == [3, 4]
    assert found["subtotal"] == 0


def test_case_16_an_invoice_that_is_final_already_is_no_draft(period: Shop) -> None:
    found = invoice_after(period, 61)
    assert on_draft(period.connection, found["id"], now=turn(period, 61)) == "final"
    assert on_finalized(period.connection, found["id"], now=turn(period, 61)) == "closed"
    assert on_finalized(period.connection, found["id"], now=turn(period, 62)) == "closed"
    assert PeriodInvoice.objects.count() == 1


def test_polling_does_what_events_would_ask_for(period: Shop) -> None:
    book_at(period, 3, edge_of(period) - MINUTE)
    assert poll_invoices(turn(period, 5)) >= 1
    poll_invoices(turn(period, 70))
    assert PeriodInvoice.objects.get().is_final
    assert PeriodClose.objects.get().closed_until == edge_of(period)


def test_an_invoice_of_somebody_elses_customer_is_left_alone(period: Shop) -> None:
    other = period.stripe.customer()
    made = period.stripe.post("/v1/invoices", customer=other)
    assert on_draft(period.connection, made["id"], now=timezone.now() + HOUR) == "not_ours"
