"""A till connected to a stand-in Stripe: book, seal, send, and ask the stand-in what it counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from billing.models import Push, StripeConnection, StripeMeter
from billing.pushing.dispatching import push_one, sendable
from billing.pushing.sealing import Sealed, seal_all
from billing.pushing.stamping import hour_of
from billing.stripe.gateway import Gateway
from billing.stripe.keys import gateway_of, parse_key, seal_key
from tenants.models import Customer
from tests.billing.pushing.conftest import CENT, HOUR, Till, connect, map_customer
from tests.factories import make_customer
from tests.simulators.stripe.conftest import Stripe

V2, V1 = r"^/v2/billing/meter_events$", r"^/v1/billing/meter_events$"


@dataclass
class Shop:
    """A tenant in one mode with a meter, a customer at Stripe, and the stand-in."""

    till: Till
    stripe: Stripe
    meter: StripeMeter
    buyer: str

    @property
    def connection(self) -> StripeConnection:
        return StripeConnection.objects.get(pk=self.meter.connection_id)

    @property
    def gateway(self) -> Gateway:
        return gateway_of(self.connection)

    @property
    def over(self) -> datetime:
        """The start of an hour that is over, two hours ago."""
        return hour_of(timezone.now()) - 2 * HOUR

    def book(self, units: int, *, hours_ago: int = 0, **changes: Any) -> str:
        return self.till.book(units * CENT, at=self.over - hours_ago * HOUR, **changes)

    def seal(self) -> Sealed:
        self.till.record()
        return seal_all(timezone.now())

    def sealed(self, *units: int) -> list[Push]:
        """Book and seal a push for each value, an hour each."""
        for place, unit in enumerate(units):
            self.book(unit, hours_ago=place)
        self.seal()
        return list(Push.objects.filter(customer=self.till.customer).order_by("-stamp_at"))

    def send_due(self, **how: Any) -> list[str]:
        """Send what is due, as one round of beat would."""
        return [push_one(push_id, **how) for push_id in list(sendable().values_list("pk", flat=True))]

    def another_customer(self, name: str) -> tuple[Customer, str]:
        customer, buyer = make_customer(self.till.tenant, name, mode=self.till.mode), self.stripe.customer()
        map_customer(customer, buyer)
        return customer, buyer

    def counted(self, buyer: str = "") -> int:
        """What the meter sums to for a buyer, over everything."""
        day = int(hour_of(timezone.now() - timedelta(days=40)).timestamp())
        path = f"/v1/billing/meters/{self.meter.stripe_meter_id}/event_summaries"
        end = int(hour_of(timezone.now() + timedelta(days=1)).timestamp())
        told = self.stripe.get(path, customer=buyer or self.buyer, start_time=day, end_time=end)
        return int(sum(row["aggregated_value"] for row in told["data"]))

    def events(self) -> list[dict[str, Any]]:
        """Every event that the stand-in took in."""
        return list(self.stripe.told("usage"))


def make_due(**narrowed: Any) -> None:
    """Let time pass for what waits to be tried again."""
    Push.objects.filter(**narrowed).update(due_at=timezone.now() - timedelta(minutes=1))


def open_shop(till: Till, stripe: Stripe, *, key: str = "rk_test_sim", currency: str = "usd") -> Shop:
    """Connect a till: a sealed key, a meter there and here, a mapped customer."""
    stripe.sim("clock", now=time.time(), frozen=True)
    meter_id = stripe.meter("spend_" + currency)
    meter = connect(till.tenant, mode=till.mode, currency=currency, stripe_meter_id=meter_id)
    connection = meter.connection
    seal_key(connection, parse_key(key, mode=till.mode))
    connection.save()
    buyer = stripe.customer()
    map_customer(till.customer, buyer, currency=currency)
    return Shop(till, stripe, meter, buyer)


def unpaced(shop: Shop) -> None:
    """Let the pause of a sink that did not answer be over."""
    for key in shop.till.streams.client.scan_iter("*sink_pace*"):
        shop.till.streams.client.delete(key)


def states() -> list[str]:
    return [push.state for push in Push.objects.order_by("created_at", "id")]


def only() -> Push:
    return Push.objects.select_related("meter", "connection", "customer").get()


def rewind(push: Push, span: timedelta) -> None:
    """Have a push's first attempt lie further back."""
    thawed("UPDATE push SET first_attempt_at = first_attempt_at - %s WHERE id = %s", span, push.pk)


def thawed(statement: str, *parameters: object) -> None:
    """Change what nobody may change, as its owner, to let a push grow old."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE push DISABLE TRIGGER frozen")
        cursor.execute(statement, parameters)
        cursor.execute("ALTER TABLE push ENABLE TRIGGER frozen")
