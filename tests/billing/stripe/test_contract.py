"""What the stand-in claims about Stripe, asked of both: of the stand-in always, of a real sandbox on request.

`STRIPE_TEST_KEY=sk_test_… pytest tests/billing/stripe/test_contract.py` asks Stripe itself, in a sandbox that may be
filled with a few meters and customers. Without the variable that half is skipped aloud.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.errors import StripeFailed
from billing.stripe.gateway import Gateway, Namespace
from billing.stripe.outcomes import Verdict
from billing.stripe.scopes import find_scopes
from tests.simulators.stripe.conftest import KEY, run_stripe

SUMMARY_SECONDS_MAX = 180
NAMESPACES: tuple[Namespace, ...] = ("v1", "v2")
DELIVERED = {Verdict.ACCEPTED, Verdict.DUPLICATE}


@dataclass(frozen=True)
class Side:
    """One Stripe, real or not, with a meter and a customer made for this run."""

    gateway: Gateway
    meter_id: str
    event_name: str
    customer_id: str
    is_real: bool

    def send(self, identifier: str, **more: object) -> Verdict:
        """Send an event worth 5 now, unless said otherwise."""
        given = {"value": 5, "stripe_customer_id": self.customer_id, "at": now(), **more}
        return self.gateway.send_meter_event(self.event_name, identifier, **given).verdict  # type: ignore[arg-type]


def now() -> datetime:
    """The present, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module", params=["stand-in", "sandbox"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """Each Stripe in turn."""
    if request.param == "stand-in":
        with run_stripe() as simulator:
            yield _furnish(Gateway(KEY, base=simulator.base_url), is_real=False)
        return
    key = os.environ.get("STRIPE_TEST_KEY", "")
    if not key:
        pytest.skip("STRIPE_TEST_KEY is not set: nothing was asked of Stripe itself")
    if "_test_" not in key:
        pytest.fail("STRIPE_TEST_KEY is no test key")
    yield _furnish(Gateway(key, base="https://api.stripe.com"), is_real=True)


def _furnish(gateway: Gateway, *, is_real: bool) -> Side:
    name = f"farebox_contract_{secrets.token_hex(6)}"
    meter = gateway.create_meter(name, "Farebox contract")
    customer = gateway.create_customer(
        name="Farebox contract", email="", metadata={"farebox_external_id": name}
    )
    return Side(gateway, meter.id, name, customer.id, is_real)


def identifier() -> str:
    """An identifier of this run's own."""
    return f"contract-{secrets.token_hex(8)}"


def test_the_key_may_do_all_that_is_needed(side: Side) -> None:
    found = find_scopes(side.gateway)
    assert (found.rejected, found.missing_required) == (None, ())


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_repeat_is_known_for_one(side: Side, namespace: Namespace) -> None:
    once = identifier()
    assert side.send(once, namespace=namespace) == Verdict.ACCEPTED
    assert side.send(once, namespace=namespace) in DELIVERED


def test_the_first_namespace_says_duplicate_in_the_words_we_look_for(side: Side) -> None:
    once = identifier()
    side.send(once, namespace="v1")
    assert side.send(once, namespace="v1") == Verdict.DUPLICATE


def test_one_key_with_two_bodies_is_a_clash(side: Side) -> None:
    once = identifier()
    side.send(once)
    assert side.send(once, value=6) in {Verdict.CLASH, Verdict.DUPLICATE}


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("age", [timedelta(days=36), timedelta(minutes=-30)], ids=["too old", "too early"])
def test_a_time_out_of_bounds_is_refused_at_once_or_later(
    side: Side, namespace: Namespace, age: timedelta
) -> None:
    verdict = side.send(identifier(), at=now() - age, namespace=namespace)
    assert verdict in ({Verdict.INVALID} if namespace == "v1" else {Verdict.INVALID, Verdict.ACCEPTED})


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_an_event_without_a_meter_is_refused_with_one_code(side: Side, namespace: Namespace) -> None:
    outcome = side.gateway.send_meter_event(
        f"nobody_{secrets.token_hex(6)}", identifier(), value=1, stripe_customer_id=side.customer_id, at=now(),
        namespace=namespace,
    )  # fmt: skip
    assert (outcome.verdict, outcome.code) == (Verdict.INVALID, "no_meter")


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_an_unknown_customer_is_refused_at_once_or_later(side: Side, namespace: Namespace) -> None:
    verdict = side.send(identifier(), stripe_customer_id="cus_farebox_nobody", namespace=namespace)
    assert verdict in {Verdict.ACCEPTED, Verdict.MISSING, Verdict.INVALID}


def test_an_event_name_belongs_to_one_meter(side: Side) -> None:
    with pytest.raises(StripeFailed) as failed:
        side.gateway.create_meter(side.event_name, "Another")
    assert failed.value.outcome is not None
    assert failed.value.outcome.verdict == Verdict.INVALID


def test_a_price_below_a_cent_is_kept_exactly_and_starts_on_the_first(side: Side) -> None:
    gateway = side.gateway
    product = gateway.create_product("Farebox contract", metadata={})
    price = gateway.create_price(product.id, side.meter_id, currency="usd", unit_amount_minor="0.0000001")
    assert gateway.price(price.id).unit_amount_minor == Decimal("0.0000001")
    made = gateway.create_subscription(side.customer_id, price.id, metadata={})
    item = made.item_of(price.id)
    assert item is not None
    assert (item.period_end.day, item.period_end.hour, item.period_end.minute) == (1, 0, 0)


def test_a_minutes_sum_shows_what_was_sent_in_it(side: Side) -> None:
    gateway, minute = side.gateway, now().replace(second=0) - timedelta(minutes=5)
    customer = gateway.create_customer(name="Farebox sums", email="", metadata={}).id
    for value in (10**14, 7):
        assert side.send(identifier(), value=value, at=minute, stripe_customer_id=customer) in DELIVERED
    until = time.monotonic() + (SUMMARY_SECONDS_MAX if side.is_real else 5)
    while time.monotonic() < until:
        rows = gateway.summaries(side.meter_id, customer, minute, minute + timedelta(minutes=1))
        if rows and rows[0].value == 10**14 + 7:
            return
        time.sleep(5 if side.is_real else 0.1)
    pytest.fail(f"the sum of the minute never came to what was sent: {rows}")


def test_who_carries_our_id_is_listed_at_once(side: Side) -> None:
    carriers = {buyer.id: buyer.metadata.get("farebox_external_id") for buyer in side.gateway.customers()}
    assert carriers[side.customer_id] == side.event_name
