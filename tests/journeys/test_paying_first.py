"""Money in and money back, as the proxy feels it: a whole stack, with a stand-in Stripe that tells it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.simulators.stripe.conftest import Stripe, run_stripe
from tests.stack import Stack, running_stack, wait_for

# So dear that a few calls use up ten dollars: an answer of ten tokens is two.
DEAR = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "200000"}


@dataclass
class Shop:
    """Acme with its Stripe account connected, and one customer of it."""

    stack: Stack
    stripe: Stripe
    customer_id: str
    key: str

    def api(self, method: str, path: str, body: Any = None) -> Any:
        return self.stack.api(method, path, body)

    def call(self) -> int:
        """One call of the customer's; returns its status."""
        body = {
            "model": "sim-exact",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": "Say hello"}],
        }
        address = f"{self.stack.address('proxy1')}/v1/chat/completions"
        return httpx.post(
            address, json=body, headers={"authorization": f"Bearer {self.key}"}, timeout=20
        ).status_code

    def buy(self, amount_usd: str) -> dict[str, Any]:
        """Buy credit, and wait for the webhook to have brought it."""
        before = self.credit()
        made = self.api("POST", "/billing/top-ups", {"customer": self.customer_id, "amount_usd": amount_usd})
        assert self.credit() == before
        session = self.stripe.get("/v1/checkout/sessions")["data"][0]
        assert session["client_reference_id"] == made["id"]
        self.stripe.sim("checkout", session=session["id"], do="pay")
        wait_for(lambda: self.credit() == before + float(amount_usd), "the credit is there")
        told: dict[str, Any] = self.api("GET", f"/billing/top-ups/{made['id']}")
        return told

    def credit(self) -> float:
        return float(self.api("GET", f"/billing/prepaid/{self.customer_id}")["credit_usd"])


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Stack, Stripe]]:
    """The stack and the stand-in, connected."""
    with (
        run_stripe() as stripe,
        running_stack(environment={"FAREBOX_STRIPE_BASE": stripe.base_url}) as stack,
    ):
        stack.api("POST", "/billing/connection", {"api_key": "rk_test_sim"})
        stack.api("POST", "/billing/connection/webhook")
        stack.api("PUT", "/prices/openai/sim-exact", DEAR)
        yield stack, stripe


@pytest.fixture
def shop(place: tuple[Stack, Stripe], request: pytest.FixtureRequest) -> Shop:
    """A customer who pays first."""
    stack, stripe = place
    customer = stack.api("POST", "/customers", {"external_id": request.node.name})
    stack.api("POST", f"/billing/prepaid/{customer['id']}")
    key = stack.api("POST", "/keys", {"customer": customer["id"]})
    return Shop(stack, stripe, customer["id"], key["key"])


def test_ten_dollars_are_used_up_topped_up_and_taken_back(shop: Shop) -> None:
    assert shop.call() == 402
    shop.buy("10.00")
    answers = [shop.call()]
    while answers[-1] == 200:
        answers.append(shop.call())
    assert (len(answers) > 3, answers[-1]) == (True, 402)
    second = shop.buy("10.00")
    assert shop.call() == 200
    shop.stripe.post("/v1/refunds", payment_intent=second["payment_intent"])
    wait_for(lambda: shop.credit() == 10, "the refund has taken it back")
    assert shop.call() == 402
    kinds = [row["kind"] for row in shop.api("GET", f"/billing/prepaid/{shop.customer_id}/entries")["data"]]
    assert kinds == ["refund", "payment", "payment"]


def test_a_past_due_subscription_suspends_and_its_payment_restores(shop: Shop) -> None:
    shop.api("POST", "/billing/meters", {"currency": "usd"})
    shop.api("PATCH", "/billing/dunning", {"past_due": "suspend"})
    own = f"/billing/customer-maps/{shop.customer_id}"
    shop.api("PUT", own, {"new": True})
    subscription = shop.api("POST", f"{own}/subscribe", {})["subscription_id"]
    shop.buy("10.00")
    assert shop.call() == 200
    shop.stripe.sim("subscription", subscription=subscription, status="past_due")
    wait_for(lambda: shop.call() == 403, "calls are refused")
    shop.stripe.sim("subscription", subscription=subscription, status="active")
    wait_for(lambda: shop.call() != 403, "calls are admitted again")
