"""Strangers for tests: a first-seen customer, and a tenant that takes some in."""

from __future__ import annotations

from enforcement.decisions import (
    FirstSeen,
)
from metering.ids import derived_id
from tests.enforcement.desk import ACME, EPOCH, Desk, draw


def first_seen(external_id: str = "acme-1") -> FirstSeen:
    customer_id = derived_id("cus", ACME.tenant_id, "test", external_id)
    return FirstSeen(
        external_id, customer_id, draw(derived_id("bud", ACME.tenant_id, "test", external_id, "default"))
    )


def prepare_arrivals(desk: Desk, *, limit: int = 5_000, per_hour: int = 100) -> None:
    desk.redis.hset(ACME.customers(), mapping={"complete": EPOCH, "epoch": EPOCH})
    desk.redis.hset(
        ACME.default_budget(),
        mapping={
            "epoch": EPOCH,
            "version": 3,
            "limit": limit,
            "measure": "charge",
            "arrivals_per_hour_max": per_hour,
        },
    )
