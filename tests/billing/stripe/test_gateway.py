"""The door to Stripe: what its answers mean, and that small amounts and repeats survive the way."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.errors import StripeFailed
from billing.stripe.gateway import API_VERSION, Gateway, Namespace
from billing.stripe.outcomes import Outcome, Verdict
from tests.billing.stripe.conftest import START, Stripe
from tests.test_tidy import name_of, source_files

AT = datetime.fromtimestamp(START, UTC)
NAMESPACES: tuple[Namespace, ...] = ("v1", "v2")


def send(gateway: Gateway, customer: str, identifier: str = "one", **more: Any) -> Outcome:
    """Send an event to the meter ``spend``."""
    given = {"value": 5, "stripe_customer_id": customer, "at": AT, **more}
    return gateway.send_meter_event("spend", identifier, **given)


@pytest.fixture
def meter_id(stripe: Stripe) -> str:
    return stripe.meter()


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_an_event_is_counted_once_however_often_it_is_sent(
    gateway: Gateway, stripe: Stripe, meter_id: str, namespace: Namespace
) -> None:
    customer = stripe.customer()
    outcomes = [send(gateway, customer, namespace=namespace) for _ in range(3)]
    assert all(outcome.is_delivered for outcome in outcomes)
    assert stripe.total(meter_id, customer) == 5


def test_the_first_namespace_tells_a_duplicate_in_prose_only(
    gateway: Gateway, stripe: Stripe, meter_id: str
) -> None:
    customer = stripe.customer()
    send(gateway, customer, namespace="v1")
    assert send(gateway, customer, namespace="v1").verdict == Verdict.DUPLICATE


def test_an_identifier_sent_with_another_value_is_a_clash_and_not_a_delivery(
    gateway: Gateway, stripe: Stripe, meter_id: str
) -> None:
    customer = stripe.customer()
    send(gateway, customer)
    assert send(gateway, customer, value=6).verdict == Verdict.CLASH


def test_a_value_of_sixteen_digits_never_leaves(gateway: Gateway, stripe: Stripe, meter_id: str) -> None:
    before = stripe.told("truth")["requests"]
    outcome = send(gateway, stripe.customer(), value=10**15)
    assert (outcome.verdict, outcome.code) == (Verdict.INVALID, "meter_event_value_too_many_digits")
    assert stripe.told("truth")["requests"] == before + 1  # the customer's
    assert send(gateway, stripe.customer(), value=10**15 - 1).verdict == Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("kind", "more", "verdict", "reason"),
    [
        ("rate_limited", {"reason": "resource-specific"}, Verdict.RETRY, "resource-specific"),
        ("rate_limited", {"reason": "global-rate"}, Verdict.RETRY, "global-rate"),
        ("lock_timeout", {}, Verdict.RETRY, "lock_timeout"),
        ("conflict_409", {}, Verdict.RETRY, "conflict"),
        ("error_500", {}, Verdict.AMBIGUOUS, ""),
        ("html_502", {}, Verdict.AMBIGUOUS, ""),
        ("unavailable_503", {}, Verdict.AMBIGUOUS, ""),
        ("drop", {}, Verdict.AMBIGUOUS, ""),
        ("unauthorized", {}, Verdict.AUTH, ""),
    ],
    ids=lambda value: str(value),
)
def test_each_way_to_fail_is_told_apart_and_asked_once(
    gateway: Gateway, stripe: Stripe, meter_id: str, kind: str, more: Any, verdict: Verdict, reason: str
) -> None:
    customer = stripe.customer()
    stripe.fault(kind, path="meter_events", **more)
    before = stripe.told("truth")["requests"]
    outcome = send(gateway, customer)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert stripe.told("truth")["requests"] == before + 1


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize(
    ("event_name", "at", "code"),
    [
        ("nobody", AT, "no_meter"),
        ("spend", AT - timedelta(days=35, seconds=61), "timestamp_too_far_in_past"),
        ("spend", AT + timedelta(minutes=6), "timestamp_in_future"),
    ],
    ids=["no meter", "too old", "too early"],
)
def test_both_namespaces_refuse_with_one_code(
    gateway: Gateway,
    stripe: Stripe,
    meter_id: str,
    namespace: Namespace,
    event_name: str,
    at: datetime,
    code: str,
) -> None:
    outcome = gateway.send_meter_event(
        event_name, "one", value=1, stripe_customer_id=stripe.customer(), at=at, namespace=namespace
    )
    assert (outcome.verdict, outcome.code) == (Verdict.INVALID, code)


def test_a_permission_that_is_missing_is_named_and_the_key_is_not(stripe: Stripe, meter_id: str) -> None:
    stripe.sim("keys", key="rk_test_reads", scopes=["billing_meter_read"])
    outcome = send(Gateway("rk_test_reads", base=stripe.base_url), "cus_1")
    assert (outcome.verdict, outcome.scopes) == (Verdict.PERMISSION, ("rak_billing_meter_event_write",))
    assert "rk_test" not in outcome.detail
    assert outcome.closes_connection


def test_a_read_that_fails_raises_with_the_outcome(gateway: Gateway) -> None:
    with pytest.raises(StripeFailed) as failed:
        gateway.customer("cus_none")
    assert failed.value.outcome is not None
    assert failed.value.outcome.verdict == Verdict.MISSING


def test_nobody_listening_is_ambiguous_and_told_without_addresses() -> None:
    gateway = Gateway("sk_test_sim", base="http://127.0.0.1:1")
    assert send(gateway, "cus_1").verdict == Verdict.AMBIGUOUS
    with pytest.raises(StripeFailed, match="could not be reached"):
        gateway.meters()


@pytest.mark.parametrize(
    "base",
    ["http://api.stripe.com", "https://api.stripe.com.example", "https://stripe.example", "ftp://10.0.0.1"],
)
def test_a_key_goes_to_stripe_or_to_this_machine_alone(base: str) -> None:
    with pytest.raises(StripeFailed, match="neither"):
        Gateway("sk_test_sim", base=base)


def test_sums_are_exact_and_more_than_one_page_long(gateway: Gateway, stripe: Stripe, meter_id: str) -> None:
    customer = stripe.customer()
    largest = 10**15 - 1
    for hour in range(130):
        at = AT - timedelta(hours=hour)
        assert send(gateway, customer, f"h{hour}", at=at, value=largest if hour == 0 else hour).is_delivered
    start = AT.replace(hour=0) - timedelta(days=6)
    rows = gateway.summaries(meter_id, customer, start, AT + timedelta(hours=1), grouping="hour")
    by_start = {row.start: row.value for row in rows}
    assert len(rows) == 130
    assert by_start[AT] == largest
    (minute,) = gateway.summaries(meter_id, customer, AT, AT + timedelta(minutes=1))
    assert (minute.value, minute.is_whole) == (Decimal(largest), True)


def test_a_price_of_a_hundredth_of_a_cent_arrives_as_plain_digits(gateway: Gateway, meter_id: str) -> None:
    product = gateway.create_product("Usage", metadata={})
    price = gateway.create_price(product.id, meter_id, currency="usd", unit_amount_minor="0.0000001")
    assert price.unit_amount_minor == Decimal("0.0000001")
    assert (price.meter_id, price.is_metered, price.is_plain) == (meter_id, True, True)
    assert [found.id for found in gateway.prices_of(meter_id, "usd")] == [price.id]
    assert gateway.prices_of(meter_id, "eur") == []


def test_a_repeat_under_one_key_makes_one_customer(gateway: Gateway) -> None:
    made = [
        gateway.create_customer(name="Acme", email="a@acme.example", metadata={}, key="once")
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert [found.id for found in gateway.customers(email="a@acme.example")] == [made[0].id]


def test_a_subscription_begins_its_periods_on_the_first_at_midnight(
    gateway: Gateway, stripe: Stripe, meter_id: str
) -> None:
    stripe.advance(9 * 86_400 + 3_601)
    product = gateway.create_product("Usage", metadata={})
    price = gateway.create_price(product.id, meter_id, currency="usd", unit_amount_minor="1")
    customer = stripe.customer()
    made = gateway.create_subscription(customer, price.id, metadata={})
    item = made.item_of(price.id)
    assert item is not None
    assert item.period_end == datetime(2026, 2, 1, tzinfo=UTC)
    assert gateway.subscriptions_of(customer) == [made]
    assert gateway.subscription(made.id).status == "active"


def test_a_draft_invoice_can_be_held(gateway: Gateway, stripe: Stripe, meter_id: str) -> None:
    customer = stripe.customer()
    subscription = stripe.subscription(meter_id, customer)
    send(gateway, customer, value=51_234)
    stripe.advance(31 * 86_400 + 60)
    (draft,) = gateway.invoices(customer=customer, status="draft")
    assert (draft.subscription_id, draft.billing_reason) == (subscription["id"], "subscription_cycle")
    assert draft.finalizes_at is not None
    later = draft.finalizes_at + timedelta(hours=24)
    assert gateway.finalize_invoice_at(draft.id, later).finalizes_at == later
    (line,) = gateway.invoice_lines(draft.id)
    assert (line.quantity, line.amount_minor) == (Decimal(51_234), 51_234)
    assert gateway.invoice(draft.id).total_minor == 51_234


def test_every_request_says_the_version_it_was_written_for(gateway: Gateway, stripe: Stripe) -> None:
    gateway.meters()
    assert stripe.told("log")[-1]["api_version"] == API_VERSION


def test_only_the_gateway_knows_stripes_library() -> None:
    known = re.compile(r"^\s*(?:import|from) stripe\b", re.MULTILINE)
    found = [name_of(path) for path in source_files() if known.search(path.read_text())]
    assert found == ["billing/stripe/gateway.py"]
