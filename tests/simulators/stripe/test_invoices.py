"""From subscription to invoice: periods, drafts that follow the meter, one rounding a line, and the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulators.stripe.conftest import START, Stripe

DAY = 86_400
HOUR = 3600
JANUARY_END = START + 31 * DAY


def invoices(stripe: Stripe, customer: str, **more: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = stripe.get("/v1/invoices", customer=customer, **more)["data"]
    return data


def cycle_invoice(stripe: Stripe, customer: str) -> dict[str, Any]:
    (found,) = [each for each in invoices(stripe, customer) if each["billing_reason"] == "subscription_cycle"]
    return found


def test_items_carry_the_period_and_the_anchor_sets_its_edges(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    config = {f"billing_cycle_anchor_config[{name}]": "0" for name in ("hour", "minute", "second")}
    config["billing_cycle_anchor_config[day_of_month]"] = "10"
    made = stripe.subscription(meter, customer, **config)
    (item,) = made["items"]["data"]
    assert (item["current_period_start"], item["current_period_end"]) == (START, START + 9 * DAY)
    stripe.advance(9 * DAY)
    (item,) = stripe.get(f"/v1/subscriptions/{made['id']}")["items"]["data"]
    assert (item["current_period_start"], item["current_period_end"]) == (START + 9 * DAY, START + 40 * DAY)


def test_the_first_invoice_is_finalized_at_once(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    made = stripe.subscription(meter, customer)
    (first,) = invoices(stripe, customer)
    assert (first["id"], first["status"], first["total"]) == (made["latest_invoice"], "paid", 0)


def test_usage_is_billed_in_the_period_of_its_timestamp(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.subscription(meter, customer)
    stripe.event(customer, 100)
    stripe.advance(31 * DAY)
    draft = cycle_invoice(stripe, customer)
    assert (draft["status"], draft["total"], draft["automatically_finalizes_at"]) == (
        "draft", 100, JANUARY_END + HOUR,
    )  # fmt: skip
    # given usage at the period's last second, at its end, and late
    for value, at_s in ((7, JANUARY_END - 1), (1000, JANUARY_END)):
        stripe.event(customer, value, timestamp=at_s)
    assert stripe.get(f"/v1/invoices/{draft['id']}")["total"] == 107
    stripe.advance(HOUR)
    final = stripe.get(f"/v1/invoices/{draft['id']}")
    assert (final["status"], final["total"], final["amount_paid"]) == ("paid", 107, 107)
    # then what comes after is billed nowhere
    stripe.event(customer, 50, timestamp=JANUARY_END - 1)
    assert stripe.get(f"/v1/invoices/{draft['id']}")["total"] == 107
    stripe.advance(28 * DAY)
    totals = [each["total"] for each in invoices(stripe, customer)]
    assert totals == [1000, 107, 0]


@pytest.mark.parametrize(
    ("unit", "values", "amount", "quantity"),
    [
        ("0.5", ["1", "1", "1"], 2, "3"),
        ("0.0000001", ["4999999"], 0, "4999999"),
        ("0.0000001", ["5000000"], 1, "5000000"),
        ("1", ["2.5", "-1"], 2, "1.5"),
        ("1", ["5", "-9"], 0, "0"),
    ],
)
def test_a_line_is_rounded_once(
    stripe: Stripe, unit: str, values: list[str], amount: int, quantity: str
) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.subscription(meter, customer, unit=unit)
    for value in values:
        stripe.event(customer, value)
    stripe.advance(31 * DAY)
    invoice = cycle_invoice(stripe, customer)
    (line,) = stripe.get(f"/v1/invoices/{invoice['id']}/lines")["data"]
    assert (line["amount"], line["quantity_decimal"]) == (amount, quantity)
    assert line["quantity"] == int(float(quantity))
    assert line["pricing"]["unit_amount_decimal"] == unit


def test_a_draft_can_be_held_and_finalized_by_hand(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.subscription(meter, customer, collection_method="send_invoice", days_until_due="30")
    stripe.event(customer, 100)
    stripe.advance(31 * DAY)
    draft = cycle_invoice(stripe, customer)
    stripe.post(f"/v1/invoices/{draft['id']}", automatically_finalizes_at=JANUARY_END + DAY)
    stripe.advance(2 * HOUR)
    assert cycle_invoice(stripe, customer)["status"] == "draft"
    assert stripe.post(f"/v1/invoices/{draft['id']}/finalize")["status"] == "open"
    held = {"automatically_finalizes_at": JANUARY_END + 2 * DAY}
    assert stripe.send("POST", f"/v1/invoices/{draft['id']}", data=held).status_code == 400
    assert stripe.post(f"/v1/invoices/{draft['id']}/pay")["status"] == "paid"
    assert stripe.send("POST", f"/v1/invoices/{draft['id']}/void").status_code == 400


def test_an_open_invoice_can_be_voided_and_a_failed_payment_leaves_it_open(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.sim("knobs", payments="fail")
    made = stripe.subscription(meter, customer)
    stripe.event(customer, 100)
    stripe.advance(31 * DAY + HOUR)
    invoice = cycle_invoice(stripe, customer)
    assert (invoice["status"], invoice["amount_remaining"], invoice["attempt_count"]) == ("open", 100, 1)
    assert stripe.get(f"/v1/subscriptions/{made['id']}")["status"] == "past_due"
    assert stripe.send("POST", f"/v1/invoices/{invoice['id']}/pay").status_code == 402
    assert stripe.post(f"/v1/invoices/{invoice['id']}/void")["status"] == "void"


def test_a_preview_shows_usage_so_far_and_keeps_nothing(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    made = stripe.subscription(meter, customer)
    stripe.event(customer, 42)
    assert stripe.post("/v1/invoices/create_preview", subscription=made["id"])["total"] == 42
    assert len(invoices(stripe, customer)) == 1


def test_a_subscription_ends_at_its_edge_with_a_last_invoice(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    made = stripe.subscription(meter, customer)
    stripe.event(customer, 5)
    stripe.post(f"/v1/subscriptions/{made['id']}", cancel_at_period_end="true")
    stripe.advance(365 * DAY)
    assert stripe.get(f"/v1/subscriptions/{made['id']}")["status"] == "canceled"
    assert [each["total"] for each in invoices(stripe, customer)] == [5, 0]
    assert stripe.get("/v1/subscriptions", customer=customer)["data"] == []


def test_a_cancelled_subscription_bills_its_usage_only_when_told_to(stripe: Stripe) -> None:
    meter, customers = stripe.meter(), [stripe.customer(), stripe.customer()]
    for customer, now in zip(customers, ("true", "false"), strict=True):
        made = stripe.subscription(meter, customer)
        stripe.event(customer, 5, timestamp=START + 60)
        stripe.advance(DAY)
        stripe.send("DELETE", f"/v1/subscriptions/{made['id']}", data={"invoice_now": now})
        stripe.advance(HOUR)
        stripe.sim("clock", now=START)
    assert [len(invoices(stripe, each)) for each in customers] == [2, 1]


def test_a_year_moves_edge_by_edge(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.subscription(meter, customer)
    stripe.advance(365 * DAY)
    found = invoices(stripe, customer, limit="100")
    assert len(found) == 13
    assert all(each["status"] in {"paid", "draft"} for each in found)
    starts = [each["period_start"] for each in found[:-1]]
    assert starts == sorted(starts, reverse=True)


def test_credit_is_drawn_when_an_invoice_is_finalized(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.subscription(meter, customer)
    grant = stripe.post("/v1/billing/credit_grants", customer=customer, category="paid", **{
        "amount[type]": "monetary", "amount[monetary][currency]": "usd", "amount[monetary][value]": "60",
        "applicability_config[scope][price_type]": "metered",
    })  # fmt: skip
    stripe.event(customer, 100)
    stripe.advance(31 * DAY)
    assert cycle_invoice(stripe, customer)["total"] == 100
    stripe.advance(HOUR)
    assert (cycle_invoice(stripe, customer)["total"], cycle_invoice(stripe, customer)["subtotal"]) == (
        40,
        100,
    )
    scope = {"filter[type]": "applicability_scope", "filter[applicability_scope][price_type]": "metered"}
    (balance,) = stripe.get("/v1/billing/credit_balance_summary", customer=customer, **scope)["balances"]
    assert balance["available_balance"]["monetary"]["value"] == 0
    assert stripe.send("POST", f"/v1/billing/credit_grants/{grant['id']}/void").status_code == 400


def test_prices_are_plain_digits_and_metered_ones_have_a_meter(stripe: Stripe) -> None:
    def make(**more: str) -> int:
        data = {"currency": "usd", "product_data[name]": "P"} | more
        return stripe.send("POST", "/v1/prices", data=data).status_code

    assert make(unit_amount_decimal="0.0000001") == 200
    assert make(unit_amount_decimal="1E-7") == 400
    assert make(unit_amount_decimal="0.0000000000001") == 400
    metered = {"recurring[interval]": "month", "recurring[usage_type]": "metered", "unit_amount": "1"}
    assert make(**metered) == 400
    assert make(**metered, **{"recurring[meter]": stripe.meter()}) == 200
