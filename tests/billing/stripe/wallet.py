"""A customer of Acme's who pays first, at a stand-in Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from billing.models import PrepaidBudget, PrepaidEntry, StripeConnection, TopUp
from billing.prepaid.crediting import sync_top_up
from billing.prepaid.opening import open_prepaid
from billing.prepaid.topping_up import start_top_up
from metering.money import format_usd, parse_usd
from tenants.models import Budget
from tenants.publishing import shared_control
from tests.billing.stripe.conftest import Stripe
from tests.factories import ACTOR, Holding


@dataclass
class Wallet:
    """Acme's customer, who pays first, and the stand-in at which it pays."""

    prepaid: PrepaidBudget
    connection: StripeConnection
    stripe: Stripe

    def start(self, amount: str = "10.00") -> TopUp:
        return start_top_up(
            prepaid=self.prepaid,
            actor=ACTOR,
            amount_nanousd=int(parse_usd(amount)),
            return_url="https://a.example/",
        )

    def pay(self, top_up: TopUp, do: str = "pay", **how: Any) -> None:
        self.stripe.sim("checkout", session=top_up.session_id, do=do, **how)

    def buy(self, amount: str = "10.00") -> TopUp:
        """A payment by card, arrived and credited."""
        top_up = self.start(amount)
        self.pay(top_up)
        return sync_top_up(top_up)

    def refund(self, top_up: TopUp, cents: int) -> str:
        told = self.stripe.post("/v1/refunds", payment_intent=top_up.payment_intent_id, amount=cents)
        return str(told["id"])

    @property
    def limit(self) -> str:
        return format_usd(Budget.objects.get(pk=self.prepaid.budget_id).limit_nanousd)

    @property
    def entries(self) -> list[tuple[str, str]]:
        rows = PrepaidEntry.objects.order_by("pk").values_list("kind", "amount_nanousd")
        return [(kind, format_usd(amount)) for kind, amount in rows]


@pytest.fixture
def wallet(
    connection: StripeConnection, acme: Holding, here: Stripe, redis_client: redis.Redis
) -> Iterator[Wallet]:
    shared_control.cache_clear()
    yield Wallet(open_prepaid(customer=acme.customer, actor=ACTOR).row, connection, here)
    shared_control.cache_clear()
