"""An hour without Stripe: every call is served meanwhile, and everything is pushed afterwards, once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.simulators.stripe.conftest import Stripe, run_stripe
from tests.stack import Stack, running_stack

HOUR_S = 3600
# An answer of ten tokens is two dollars.
DEAR = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "200000"}
SEAL_AN_HOUR_ON = (
    "from datetime import timedelta; from django.utils import timezone; "
    "from billing.pushing.sealing import seal_all; print(seal_all(timezone.now() + timedelta(hours=1)).pushes)"
)


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Stack, Stripe, str, str]]:
    """A stack without beat, connected to the stand-in, with a customer who is invoiced there."""
    with (
        run_stripe() as stripe,
        running_stack(environment={"FAREBOX_STRIPE_BASE": stripe.base_url}, with_worker=False) as stack,
    ):
        stack.api("POST", "/billing/connection", {"api_key": "rk_test_sim"})
        stack.api("POST", "/billing/meters", {"currency": "usd"})
        stack.api("PUT", "/prices/openai/sim-exact", DEAR)
        made = stack.customer("outage", "1000")
        buyer = stripe.customer()
        customer_id = made["customer"]["id"]
        stack.api("PUT", f"/billing/customer-maps/{customer_id}", {"stripe_customer_id": buyer})
        stack.api("POST", f"/billing/customer-maps/{customer_id}/subscribe", {"currency": "usd"})
        yield stack, stripe, made["key"], buyer


def call(stack: Stack, key: str) -> int:
    """One call; returns its status."""
    body: dict[str, Any] = {
        "model": "sim-exact", "max_tokens": 10, "messages": [{"role": "user", "content": "Say hello"}],
    }  # fmt: skip
    return httpx.post(
        f"{stack.address('proxy1')}/v1/chat/completions", json=body,
        headers={"authorization": f"Bearer {key}"}, timeout=20,
    ).status_code  # fmt: skip


def send(stack: Stack) -> str:
    """One round of sending: whatever waits to be tried again is due, and no sink is left alone any more."""
    with psycopg.connect(stack.postgres.url("farebox_owner"), autocommit=True) as connection:
        connection.execute("UPDATE push SET due_at = now() - interval '1 minute'")
    with stack.redis() as client:
        for name in client.scan_iter("*sink_pace*"):
            client.delete(name)
    return stack.manage("push", "--once", "--no-seal")


def states(stack: Stack) -> list[tuple[str, int]]:
    """Every push: where it stands, and its value."""
    with psycopg.connect(stack.postgres.url("farebox_owner")) as connection:
        return connection.execute("SELECT state, value_units FROM push ORDER BY created_at").fetchall()


def test_calls_are_served_and_everything_is_pushed_afterwards(place: tuple[Stack, Stripe, str, str]) -> None:
    stack, stripe, key, buyer = place
    stripe.sim("faults", kind="unavailable_503", times=0)
    now = time.time()

    served = [call(stack, key) for _ in range(3)]
    stack.wait_until_quiet()
    stack.manage("shell", "-c", SEAL_AN_HOUR_ON)
    # Half an hour and an hour into it.
    for minutes in (30, 60):
        stripe.sim("clock", now=now + minutes * 60, frozen=True)
        send(stack)
        served += [call(stack, key) for _ in range(3)]
    stack.wait_until_quiet()
    assert served == [200] * 9
    assert {state for state, _ in states(stack)} == {"retry"}
    assert not stripe.told("usage")

    stripe.http.delete("/_sim/faults")
    stripe.sim("clock", now=now + HOUR_S, frozen=True)
    stack.manage("shell", "-c", SEAL_AN_HOUR_ON)
    send(stack)

    charged = sum(row["charge_nanousd"] for row in stack.rows())
    pushed = states(stack)
    assert {state for state, _ in pushed} == {"accepted"}
    assert sum(units for _, units in pushed) == charged // 10_000_000
    counted = [each for each in stripe.told("usage") if each["state"] == "counted"]
    assert sum(int(each["value"]) for each in counted) == charged // 10_000_000
    assert {each["customer"] for each in counted} == {buyer}
