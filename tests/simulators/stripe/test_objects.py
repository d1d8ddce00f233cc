"""Customers, catalog, checkout and payments; lists, search, and the process itself."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.simulators.stripe.conftest import ROOT, Stripe

DAY = 86_400
LINE = {
    "line_items[0][price_data][currency]": "usd", "line_items[0][price_data][unit_amount]": "2500",
    "line_items[0][price_data][product_data][name]": "Top-up", "line_items[0][quantity]": "2",
}  # fmt: skip


def open_session(stripe: Stripe, **more: str) -> dict[str, Any]:
    made: dict[str, Any] = stripe.post(
        "/v1/checkout/sessions", mode="payment", success_url="https://shop.example/ok", **LINE, **more
    )
    return made


def test_lists_are_paged_newest_first(stripe: Stripe) -> None:
    made = [stripe.customer(name=str(number)) for number in range(12)][::-1]
    page = stripe.get("/v1/customers", **{"expand[]": "data.x"})
    assert [each["id"] for each in page["data"]] == made[:10]
    assert page["has_more"]
    rest = stripe.get("/v1/customers", starting_after=made[9], limit=5)
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[10:], False)
    back = stripe.get("/v1/customers", ending_before=made[9], limit=5)
    assert [each["id"] for each in back["data"]] == made[4:9]
    assert stripe.get("/v1/customers", **{"created[gt]": "1767225600"})["data"] == []
    assert stripe.send("GET", "/v1/customers", data={"limit": 0}).status_code == 400


def test_customers_are_searched_by_metadata(stripe: Stripe) -> None:
    customer = stripe.customer(**{"metadata[external_id]": "acme's", "email": "a@example.com"})
    stripe.customer(**{"metadata[external_id]": "globex"})

    def found(query: str) -> list[str]:
        return [each["id"] for each in stripe.get("/v1/customers/search", query=query)["data"]]

    assert found("""metadata['external_id']:'acme\\'s'""") == [customer]
    assert found("""metadata["external_id"]:"acme's" AND email:"a@example.com\"""") == [customer]
    assert found("email~'example'") == [customer]
    assert stripe.send("GET", "/v1/customers/search", data={"query": "name=x"}).status_code == 400


def test_a_deleted_customer_is_gone_but_for_its_id(stripe: Stripe) -> None:
    customer = stripe.customer(**{"metadata[a]": "1"})
    changed = stripe.post(f"/v1/customers/{customer}", **{"metadata[a]": "", "metadata[b]": "2"})
    assert changed["metadata"] == {"b": "2"}
    stripe.send("DELETE", f"/v1/customers/{customer}")
    assert stripe.get(f"/v1/customers/{customer}") == {"id": customer, "object": "customer", "deleted": True}
    assert stripe.send("POST", f"/v1/customers/{customer}").status_code == 404


def test_an_event_name_belongs_to_one_meter(stripe: Stripe) -> None:
    meter = stripe.meter()
    data = {"display_name": "M", "event_name": "spend", "default_aggregation[formula]": "sum"}
    assert stripe.send("POST", "/v1/billing/meters", data=data).status_code == 400
    stripe.post(f"/v1/billing/meters/{meter}/deactivate")
    assert stripe.get("/v1/billing/meters", status="active")["data"] == []
    assert stripe.post(f"/v1/billing/meters/{meter}/reactivate")["status"] == "active"
    assert stripe.post(f"/v1/billing/meters/{meter}", display_name="N")["display_name"] == "N"


def test_a_session_is_paid_refunded_and_disputed(stripe: Stripe) -> None:
    session = open_session(stripe, client_reference_id="top-up-1")
    assert (session["amount_total"], session["payment_status"]) == (5000, "unpaid")
    paid = stripe.sim("checkout", session=session["id"])
    assert (paid["status"], paid["payment_status"]) == ("complete", "paid")
    intent = stripe.get(f"/v1/payment_intents/{paid['payment_intent']}")
    refund = stripe.post("/v1/refunds", payment_intent=intent["id"], amount="2000")
    assert refund["amount"] == 2000
    over = {"payment_intent": intent["id"], "amount": "3001"}
    assert stripe.send("POST", "/v1/refunds", data=over).status_code == 400
    dispute = stripe.sim("dispute", payment_intent=intent["id"])
    assert stripe.sim("dispute", dispute=dispute["id"], status="lost")["status"] == "lost"
    kinds = [each["type"] for each in stripe.get("/v1/events", limit=100)["data"]][::-1]
    assert kinds[-4:] == [
        "charge.refunded", "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed",
    ]  # fmt: skip
    assert "checkout.session.completed" in kinds


def test_a_session_expires_after_a_day(stripe: Stripe) -> None:
    sessions = [open_session(stripe), open_session(stripe)]
    stripe.sim("checkout", session=sessions[0]["id"], do="expire")
    stripe.advance(DAY)
    told = [stripe.get(f"/v1/checkout/sessions/{each['id']}")["status"] for each in sessions]
    assert told == ["expired", "expired"]
    gone = stripe.http.post("/_sim/checkout", json={"session": sessions[0]["id"]})
    assert gone.status_code == 400


def test_a_declined_card_is_an_error_that_shows_the_payment(stripe: Stripe) -> None:
    data = {"amount": "100", "currency": "usd", "confirm": "true", "payment_method": "pm_card_chargeDeclined"}
    answer = stripe.send("POST", "/v1/payment_intents", data=data)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (402, "card_declined")
    assert stripe.post(
        f"/v1/payment_intents/{error['payment_intent']['id']}/confirm", payment_method="pm_card_visa"
    )


def test_truth_sums_what_was_accepted_and_counted(stripe: Stripe) -> None:
    stripe.meter()
    customer = stripe.customer()
    stripe.fault("async_reject", path="meter_events")
    for value in (5, 7):
        stripe.event(customer, value)
    (book,) = stripe.told("truth")["books"]
    (pair,) = book["totals"]
    assert (pair["accepted_sum"], pair["counted"]) == ("12", "7")
    assert pair["states"] == {"rejected": 1, "counted": 1}


def test_it_does_not_start_in_production() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulators.stripe", "--port", "0"],
        cwd=ROOT, env={**os.environ, "FAREBOX_ENV": "production"}, capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"production" in done.stderr


@pytest.mark.parametrize("moved", [{"now": 1000.0}, {"advance_s": -3600.0}])
def test_the_clock_can_be_moved_back(stripe: Stripe, moved: dict[str, float]) -> None:
    stripe.customer()
    stripe.sim("clock", **moved)
    assert stripe.told("clock")["frozen"]
    stripe.customer()
