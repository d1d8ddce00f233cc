"""Customers that the proxy met first, and what a rebuild asks for."""

from __future__ import annotations

from collections.abc import Callable

import redis

from enforcement.control import Control
from enforcement.keys import Scope, arrivals_key
from metering.ids import derived_id, shard_of
from metering.money import parse_usd
from tenants import republishing
from tenants.actions import budgets, keys, tenants
from tenants.arrivals import take_arrivals
from tenants.models import Budget, Customer
from tenants.publishing import drain_outbox
from tests.factories import ACTOR, Holding

OpenShard = Callable[[str], Control]


def arrive(client: redis.Redis, tenant_id: str, external_id: str) -> str:
    """Write an arrival as the proxy's script does; returns the budget's id."""
    budget_id = derived_id("bud", tenant_id, "test", external_id, "default")
    fields: dict[str, str | int] = {
        "tenant_id": tenant_id, "mode": "test", "external_id": external_id,
        "customer_id": derived_id("cus", tenant_id, "test", external_id), "budget_id": budget_id,
        "limit": parse_usd("1.00"), "at_ms": 1, "epoch": 1, "seq": 1,
    }  # fmt: skip
    client.xadd(arrivals_key(shard_of(tenant_id)), fields)  # type: ignore[arg-type]  # redis-py's own types are narrow
    return budget_id


def test_an_arrival_becomes_a_customer_with_its_budget_once(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    tenants.set_default_budget(
        tenant=acme.tenant, mode="test", actor=ACTOR, limit_nanousd=parse_usd("2.00"), window_kind="day"
    )
    drain_outbox(control=control)
    budget_id = arrive(redis_client, acme.tenant.pk, "walk-in")
    arrive(redis_client, acme.tenant.pk, "walk-in")

    assert take_arrivals(control) == 2
    assert take_arrivals(control) == 0

    customer = Customer.objects.get(external_id="walk-in")
    assert customer.arrived
    budget = Budget.objects.get(customer=customer)
    # The limit is the one it was made with, whatever the template says by now.
    assert (budget.pk, budget.limit_nanousd, budget.window_kind) == (budget_id, parse_usd("1.00"), "day")
    balance = control.read_budget(Scope(acme.tenant.pk, "test"), budget_id)
    assert balance is not None
    assert redis_client.exists(Scope(acme.tenant.pk, "test").customer_policy(customer.pk))


def test_an_arrival_nobody_can_take_does_not_hold_up_the_next(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    shard = shard_of(acme.tenant.pk)
    arrive(redis_client, acme.tenant.pk, " spaces ")
    arrive(redis_client, acme.tenant.pk, "fine")
    assert take_arrivals(control) == 2
    assert Customer.objects.filter(external_id="fine").exists()
    assert redis_client.xlen(arrivals_key(shard)) == 0


def test_a_rebuild_is_told_everything_of_its_shards_and_nothing_else(acme: Holding, globex: Holding) -> None:
    shard = shard_of(acme.tenant.pk)
    keys.revoke_key(key=acme.key.row, actor=ACTOR)

    scopes = republishing.scopes([shard])
    calls = list(republishing.published([shard]))
    loads = list(republishing.budgets_in_force([shard]))

    assert {scope.tenant_id for scope in scopes} == {acme.tenant.pk}
    assert {scope.mode for scope in scopes} == {"test", "live"}
    assert {call.shard for call in calls} == {shard}
    bodies = b"".join(arg for call in calls for arg in call.args if isinstance(arg, bytes))
    assert acme.customer.pk.encode() in bodies
    assert b'"state":"revoked"' in bodies
    assert globex.tenant.pk.encode() not in bodies
    assert [(load.budget_id, load.limit_nanousd) for load in loads] == [(acme.budget.pk, parse_usd("50.00"))]


def test_a_wanted_budget_is_found_only_under_its_own_tenant(acme: Holding, globex: Holding) -> None:
    right = (Scope(acme.tenant.pk, "test"), acme.budget.pk)
    wrong = (Scope(globex.tenant.pk, "test"), acme.budget.pk)
    assert [load.budget_id for load in republishing.budgets_named([right])] == [acme.budget.pk]
    assert republishing.budgets_named([wrong]) == []
    budgets.archive_budget(budget=acme.budget, actor=ACTOR)
    assert republishing.budgets_named([right]) == []


def test_a_tenant_is_told_again(acme: Holding, open_shard: OpenShard, redis_client: redis.Redis) -> None:
    control = open_shard(acme.tenant.pk)
    # the tenant in two modes with its default budgets, a customer, a key
    assert republishing.republish_tenant(acme.tenant.pk, control=control) == 6
    assert redis_client.exists(Scope(acme.tenant.pk, "test").tenant_policy())
