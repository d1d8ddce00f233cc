"""Publishing against a real Valkey: what is told, when, and that an older word never replaces a newer one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
import redis
from django.utils import timezone

from enforcement.control import Control
from enforcement.keys import Scope, wanted_key
from enforcement.policies import CustomerPolicy, KeyPolicy, TenantPolicy, key_digest
from metering.money import parse_usd
from tenants.actions import budgets, customers, keys, tenants
from tenants.models import Outbox
from tenants.publishing import drain_outbox, publish_now
from tests.factories import ACTOR, Holding, make_budget, make_customer, make_key

OpenShard = Callable[[str], Control]


def policy_in(client: redis.Redis, key: str) -> tuple[int, bytes] | None:
    version, body = client.hmget(key, "version", "body")
    return None if version is None or not isinstance(body, bytes) else (int(version), body)


def test_everything_a_tenant_has_is_in_redis_after_a_drain(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)
    assert not Outbox.objects.exists()
    scope = Scope(acme.tenant.pk, "test")

    found = policy_in(redis_client, scope.key_policy(key_digest(acme.key.secret)))
    assert found is not None
    key_policy = msgspec.json.decode(found[1], type=KeyPolicy)
    assert (key_policy.key_id, key_policy.customer_id, key_policy.state) == (
        acme.key.row.pk,
        acme.customer.pk,
        "active",
    )

    found = policy_in(redis_client, scope.customer_policy(acme.customer.pk))
    assert found is not None
    assert [ref.budget_id for ref in msgspec.json.decode(found[1], type=CustomerPolicy).budgets] == [
        acme.budget.pk
    ]

    found = policy_in(redis_client, scope.tenant_policy())
    assert found is not None
    tenant_policy = msgspec.json.decode(found[1], type=TenantPolicy)
    assert [account.name for account in tenant_policy.accounts] == ["main"]
    assert tenant_policy.accounts[0].default
    assert "sk-0123" not in tenant_policy.accounts[0].credential
    assert [price.model for price in tenant_policy.prices] == ["sim-mini"]

    balance = control.read_budget(scope, acme.budget.pk)
    assert balance is not None
    assert balance.limit_nanousd == parse_usd("50.00")


def test_allowances_are_in_force_with_the_tenants_policy(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    change = tenants.change_settings(
        tenant=acme.tenant, mode="test", actor=ACTOR, changes={"allowances": {"document": 20_000}}
    )
    assert publish_now(change.entries, control=control)
    found = policy_in(redis_client, Scope(acme.tenant.pk, "test").tenant_policy())
    assert found is not None
    assert msgspec.json.decode(found[1], type=TenantPolicy).allowances == {"document": 20_000}


def test_a_changed_limit_touches_the_budget_and_no_policy(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)
    scope = Scope(acme.tenant.pk, "test")
    before = policy_in(redis_client, scope.customer_policy(acme.customer.pk))

    change = budgets.change_limit(budget=acme.budget, actor=ACTOR, limit_nanousd=parse_usd("7.50"))

    assert len(change.entries) == 1
    assert publish_now(change.entries, control=control)
    balance = control.read_budget(scope, acme.budget.pk)
    assert balance is not None
    assert balance.limit_nanousd == parse_usd("7.50")
    assert policy_in(redis_client, scope.customer_policy(acme.customer.pk)) == before


def test_editing_one_customer_publishes_one_policy(acme: Holding, open_shard: OpenShard) -> None:
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)

    change = customers.suspend_customer(customer=acme.customer, actor=ACTOR)

    assert [(entry.kind, entry.object_id) for entry in Outbox.objects.all()] == [
        ("customer", acme.customer.pk)
    ]
    assert publish_now(change.entries, control=control)
    assert not Outbox.objects.exists()


def test_a_revoked_key_is_published_as_revoked(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)

    change = keys.revoke_key(key=acme.key.row, actor=ACTOR)

    assert publish_now(change.entries, control=control)
    scope = Scope(acme.tenant.pk, "test")
    found = policy_in(redis_client, scope.key_policy(key_digest(acme.key.secret)))
    assert found is not None
    assert msgspec.json.decode(found[1], type=KeyPolicy).state == "revoked"


def test_a_rotated_key_keeps_its_budgets_and_its_old_secret_gets_an_end(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    budget = make_budget(acme.tenant, acme.key.row)
    drain_outbox(control=control)

    issued = keys.rotate_key(key=acme.key.row, actor=ACTOR, overlap_seconds=3600)
    assert publish_now(issued.change.entries, control=control)

    scope = Scope(acme.tenant.pk, "test")
    policies = []
    for secret in (acme.key.secret, issued.secret):
        found = policy_in(redis_client, scope.key_policy(key_digest(secret)))
        assert found is not None
        policies.append(msgspec.json.decode(found[1], type=KeyPolicy))
    old, new = policies
    assert old.key_id == new.key_id == acme.key.row.pk
    assert [ref.budget_id for ref in old.budgets] == [ref.budget_id for ref in new.budgets] == [budget.pk]
    assert old.expires_ms > 0
    assert new.expires_ms == 0


def test_an_older_word_never_replaces_a_newer_one(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    # given two changes, of which the first is told last
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)
    first = customers.suspend_customer(customer=acme.customer, actor=ACTOR)
    second = customers.resume_customer(customer=acme.customer, actor=ACTOR)

    assert publish_now(second.entries, control=control)
    assert publish_now(first.entries, control=control)

    found = policy_in(redis_client, Scope(acme.tenant.pk, "test").customer_policy(acme.customer.pk))
    assert found is not None
    assert msgspec.json.decode(found[1], type=CustomerPolicy).state == "active"


def test_a_closed_shard_leaves_everything_waiting_in_order(acme: Holding, control: Control) -> None:
    waiting = Outbox.objects.count()

    assert drain_outbox(control=control) == 0

    assert Outbox.objects.count() == waiting
    assert set(Outbox.objects.values_list("attempts", flat=True)) == {1}


def test_a_redis_that_is_away_leaves_the_change_pending(acme: Holding) -> None:
    nowhere = Control("redis://127.0.0.1:1/0")
    change = keys.revoke_key(key=acme.key.row, actor=ACTOR)

    assert not publish_now(change.entries, control=nowhere)

    entry = Outbox.objects.get(pk=change.entries[0])
    assert entry.attempts == 1
    assert entry.last_error


def test_one_row_that_cannot_be_told_does_not_stop_the_others(
    acme: Holding, globex: Holding, open_shard: OpenShard
) -> None:
    open_shard(acme.tenant.pk)
    control = open_shard(globex.tenant.pk)
    Outbox.objects.exclude(kind="tenant").delete()
    broken = tenants.lock_settings(acme.tenant, "test")
    broken.markup_models = [{"model": "x", "unknown": 1}]
    broken.save(update_fields=["markup_models"])

    drain_outbox(control=control)

    left = set(Outbox.objects.values_list("tenant_id", "mode"))
    assert left == {(acme.tenant.pk, "test")}


def test_an_archived_budget_leaves_policy_and_redis(acme: Holding, open_shard: OpenShard) -> None:
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)

    change = budgets.archive_budget(budget=acme.budget, actor=ACTOR)

    assert publish_now(change.entries, control=control)
    assert control.read_budget(Scope(acme.tenant.pk, "test"), acme.budget.pk) is None


def test_a_budget_that_counts_so_far_is_pending_until_it_is_loaded(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)
    scope = Scope(acme.tenant.pk, "test")
    budget = make_budget(acme.tenant, acme.customer, count_so_far=True)
    entries = list(Outbox.objects.values_list("pk", flat=True))

    assert not publish_now(entries, control=control)

    [waiting] = Outbox.objects.all()  # the customer's policy, which names it, is in force
    assert (waiting.kind, waiting.attempts) == ("budget_new", 0)
    assert control.read_budget(scope, budget.pk) is None
    assert redis_client.hkeys(wanted_key(scope.shard)) == [f"{acme.tenant.pk}:test:{budget.pk}".encode()]

    redis_client.hset(scope.budget(budget.pk), "limit", 1)  # as the keeper does
    assert publish_now([waiting.pk], control=control)
    assert not Outbox.objects.exists()


def test_a_budget_that_counts_so_far_and_was_archived_meanwhile_is_wanted_no_more(
    acme: Holding, open_shard: OpenShard
) -> None:
    control = open_shard(acme.tenant.pk)
    budget = make_budget(acme.tenant, acme.customer, count_so_far=True)
    drain_outbox(control=control)
    budgets.archive_budget(budget=budget, actor=ACTOR)
    Outbox.objects.update(due_at=timezone.now())

    drain_outbox(control=control)

    assert not Outbox.objects.exists()


def test_a_default_budget_reaches_redis_and_leaves_it(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis
) -> None:
    control = open_shard(acme.tenant.pk)
    scope = Scope(acme.tenant.pk, "test")
    drain_outbox(control=control)
    given = tenants.set_default_budget(
        tenant=acme.tenant, mode="test", actor=ACTOR, limit_nanousd=parse_usd("1.00")
    )
    assert publish_now(given.entries, control=control)
    assert redis_client.hget(scope.default_budget(), "limit") == str(parse_usd("1.00")).encode()

    taken = tenants.set_default_budget(tenant=acme.tenant, mode="test", actor=ACTOR, limit_nanousd=None)
    assert publish_now(taken.entries, control=control)
    assert redis_client.hget(scope.default_budget(), "limit") is None


@pytest.mark.parametrize("count", [1, 3])
def test_making_a_customer_makes_nobody_else_reload(
    acme: Holding, open_shard: OpenShard, redis_client: redis.Redis, count: int
) -> None:
    control = open_shard(acme.tenant.pk)
    drain_outbox(control=control)
    scope = Scope(acme.tenant.pk, "test")
    before = (
        policy_in(redis_client, scope.tenant_policy()),
        policy_in(redis_client, scope.customer_policy(acme.customer.pk)),
    )

    for number in range(count):
        make_key(acme.tenant, make_customer(acme.tenant, f"new-{number}"))
    drain_outbox(control=control)

    after = (
        policy_in(redis_client, scope.tenant_policy()),
        policy_in(redis_client, scope.customer_policy(acme.customer.pk)),
    )
    assert after == before
