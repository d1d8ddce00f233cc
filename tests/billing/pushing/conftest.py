"""A ledger to bill from: a tenant whose customer makes calls that the recorder books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis

from billing.ledger.recorder import Recorder
from billing.models import CustomerMap, StripeConnection, StripeMeter, Unsealed
from billing.stripe.gateway import API_VERSION
from tenants.models import Customer, Tenant
from tenants.publishing import shared_control
from tests.billing.conftest import Streams, body_of
from tests.billing.stripe.conftest import here, stripe, stripe_running
from tests.factories import make_customer, make_tenant
from tests.simulators.stripe.conftest import Stripe

if TYPE_CHECKING:
    from tests.billing.pushing.shop import Shop

__all__ = ["here", "stripe", "stripe_running"]

CENT = 10_000_000
# An hour that is over, on the hour.
TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


@dataclass
class Till:
    """A tenant's customer and the hand that books calls for it."""

    tenant: Tenant
    customer: Customer
    streams: Streams
    recorder: Recorder
    mode: str = "test"

    def book(self, charge_nanousd: int = CENT, *, at: datetime = TEN, **changes: Any) -> str:
        """Append a call of the customer that began at an instant; it is booked by ``record``."""
        customer = changes.pop("customer", self.customer)
        body = body_of(customer_id=customer.pk, started_ms=ms(at), ended_ms=ms(at) + 900)
        given = {
            "body": body,
            "charge": charge_nanousd,
            "cost": charge_nanousd,
            "at_ms": ms(at) + 1000,
            "draws": "",
        }
        given["hold_id"] = changes.pop("hold_id", None) or self.streams.hold_id(ms(at))
        return self.streams.append(self.tenant.pk, **{"mode": self.mode, **given, **changes})

    def expire(self, charge_nanousd: int, *, hold_id: str, **changes: Any) -> str:
        """Append the expiry of a call at its quote."""
        return self.book(charge_nanousd, kind="expired", basis="unresolved", hold_id=hold_id, **changes)

    def correct(self, difference_nanousd: int, *, hold_id: str, **changes: Any) -> str:
        """Append a correction of an expiry."""
        given = {"kind": "correction", "corrects": f"{hold_id}.expired.0", **changes}
        return self.book(difference_nanousd, hold_id=hold_id, **given)

    def record(self) -> None:
        """Have the recorder book what was appended."""
        self.recorder.drain()

    def waiting_nanousd(self) -> int:
        """What no push has taken yet."""
        rows = Unsealed.objects.filter(tenant_id=self.tenant.pk, mode=self.mode)
        return sum(row.charge_nanousd for row in rows)


@pytest.fixture
def till(streams: Streams, recorder: Recorder) -> Till:
    """Acme's customer in test mode."""
    tenant = make_tenant("Acme")
    streams.open(tenant.pk)
    return Till(tenant, make_customer(tenant), streams, recorder)


def connect(tenant: Tenant, *, mode: str = "test", currency: str = "usd", **values: Any) -> StripeMeter:
    """A connection and a meter of a currency."""
    connection, _ = StripeConnection.objects.get_or_create(
        tenant=tenant, mode=mode, defaults={"api_version": API_VERSION, "secret": "sealed", "status": "ok"}
    )
    given = {"stripe_meter_id": f"mtr_{currency}", "event_name": f"spend_{currency}", **values}
    return StripeMeter.objects.create(
        tenant=tenant, mode=mode, connection=connection, currency=currency, **given
    )


def map_customer(customer: Customer, stripe_customer_id: str = "cus_s1", **values: Any) -> CustomerMap:
    """Say who a customer is at Stripe."""
    connection = StripeConnection.objects.get(tenant=customer.tenant, mode=customer.mode)
    given = {"state": "mapped", "stripe_customer_id": stripe_customer_id, "connection": connection, **values}
    mapped, _ = CustomerMap.objects.update_or_create(
        customer=customer, defaults={"tenant": customer.tenant, "mode": customer.mode, **given}
    )
    return mapped


@pytest.fixture
def billed(till: Till) -> Till:
    """Acme's customer with a meter in dollars and a mapping."""
    connect(till.tenant)
    map_customer(till.customer)
    return till


@pytest.fixture
def shop(till: Till, here: Stripe, redis_client: redis.Redis) -> Iterator[Shop]:
    """Acme's customer with a connected stand-in Stripe."""
    from tests.billing.pushing.shop import open_shop

    shared_control.cache_clear()
    yield open_shop(till, here)
    shared_control.cache_clear()
