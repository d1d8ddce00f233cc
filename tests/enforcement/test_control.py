"""What the control plane publishes is in force, once, and never undone by a late message."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.exceptions import RedisClusterException, RedisError

from enforcement.control import Control
from enforcement.control_calls import read_budgets_call
from enforcement.control_client import unavailable_on_failure
from enforcement.errors import EnforcementUnavailable, ShardClosed
from enforcement.keys import Scope, deadlines_key, shard_key
from enforcement.policies import BudgetRef, CustomerPolicy, KeyPolicy, TenantPolicy
from metering.ids import external_digest

ACME = Scope("ten_acme000000000000", "test")
GLOBEX = Scope("ten_globex0000000000", "test")
USD = 1_000_000_000
MONTHLY = BudgetRef("bud_any", "customer", "month", "UTC", "charge", "refuse")


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    control = Control(redis_url)
    control.ensure_open(ACME)
    yield control
    control.close()


def key_policy(state: str = "active") -> KeyPolicy:
    return KeyPolicy("key_1", ACME.tenant_id, "test", "customer", customer_id="cus_1", state=state)  # type: ignore[arg-type]


def budget(client: redis.Redis, budget_id: str = "bud_1") -> dict[bytes, bytes]:
    return client.hgetall(ACME.budget(budget_id))


def test_a_policy_is_published_with_its_version_and_epoch(
    control: Control, redis_client: redis.Redis
) -> None:
    assert control.publish_key(key_policy(), digest="d1", version=7)
    record = redis_client.hgetall(ACME.key_policy("d1"))
    assert (record[b"version"], record[b"epoch"]) == (b"7", b"1")
    assert b'"key_id":"key_1"' in record[b"body"]


def test_an_older_policy_is_refused_and_the_same_one_may_come_again(
    control: Control, redis_client: redis.Redis
) -> None:
    assert control.publish_key(key_policy("revoked"), digest="d1", version=8)
    assert not control.publish_key(key_policy("active"), digest="d1", version=7)
    assert control.publish_key(key_policy("revoked"), digest="d1", version=8)
    assert b"revoked" in redis_client.hget(ACME.key_policy("d1"), "body")


def test_a_policy_of_an_older_epoch_counts_as_absent(control: Control, redis_client: redis.Redis) -> None:
    control.publish_key(key_policy("active"), digest="d1", version=9)
    redis_client.hset(shard_key(ACME.shard), "epoch", 2)
    assert control.publish_key(key_policy("revoked"), digest="d1", version=8)
    assert redis_client.hget(ACME.key_policy("d1"), "version") == b"8"


def test_a_customer_is_published_together_with_its_index_entry(
    control: Control, redis_client: redis.Redis
) -> None:
    redis_client.hset(ACME.customers(), mapping={"epoch": 0, "stale": "cus_gone"})
    assert control.publish_customer(ACME, CustomerPolicy("cus_1"), external_id="acme-1", version=3)
    assert redis_client.hgetall(ACME.customers()) == {
        b"epoch": b"1",
        external_digest("acme-1").encode(): b"cus_1",
    }
    assert control.publish_customer(ACME, CustomerPolicy("cus_2"), external_id="acme-2", version=3)
    assert redis_client.hlen(ACME.customers()) == 3


def test_published_versions_are_zero_where_nothing_is_published(control: Control) -> None:
    assert control.publish_tenant(TenantPolicy(ACME.tenant_id, "test"), version=5)
    keys = [ACME.tenant_policy(), ACME.customer_policy("cus_nobody")]
    assert control.published_versions(ACME, keys) == [5, 0]


def test_a_default_budget_can_be_set_and_taken_away(control: Control, redis_client: redis.Redis) -> None:
    assert control.publish_default_budget(
        ACME, limit_nanousd=5 * USD, ref=MONTHLY, version=2, arrivals_per_hour_max=100
    )
    record = redis_client.hgetall(ACME.default_budget())
    assert (record[b"limit"], record[b"measure"], record[b"arrivals_per_hour_max"]) == (
        b"5000000000",
        b"charge",
        b"100",
    )
    assert not control.publish_default_budget(
        ACME, limit_nanousd=None, ref=None, version=1, arrivals_per_hour_max=0
    )
    assert control.publish_default_budget(
        ACME, limit_nanousd=None, ref=None, version=3, arrivals_per_hour_max=0
    )
    assert redis_client.hgetall(ACME.default_budget()) == {b"version": b"3", b"epoch": b"1"}


def test_a_new_budget_opens_at_zero_and_later_loads_leave_its_sums_alone(
    control: Control, redis_client: redis.Redis
) -> None:
    assert control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=5 * USD, version=1)
    redis_client.hset(ACME.budget("bud_1"), mapping={"s:w1": 3 * USD, "h:w1": 7})
    with ThreadPoolExecutor(8) as pool:
        again = list(
            pool.map(
                lambda _: control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=5 * USD, version=1),
                range(40),
            )
        )
    assert not any(again)
    balance = control.read_budget(ACME, "bud_1")
    assert balance is not None
    assert balance.limit_nanousd == 5 * USD
    assert [(w.window_id, w.spent_nanousd, w.held_nanousd) for w in balance.windows] == [("w1", 3 * USD, 7)]


def test_many_loaders_at_once_open_a_budget_once(control: Control) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = pool.map(
            lambda _: control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=USD, version=1),
            range(40),
        )
        assert sum(opened) == 1


def test_a_limit_changes_only_forwards(control: Control) -> None:
    control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=5 * USD, version=1)
    assert control.set_limit(ACME, budget_id="bud_1", limit_nanousd=2 * USD, version=3)
    assert not control.set_limit(ACME, budget_id="bud_1", limit_nanousd=9 * USD, version=2)
    balance = control.read_budget(ACME, "bud_1")
    assert balance is not None
    assert (balance.limit_nanousd, balance.version) == (2 * USD, 3)


def test_a_limit_set_before_its_budget_is_loaded_waits_for_the_load(control: Control) -> None:
    assert control.set_limit(ACME, budget_id="bud_1", limit_nanousd=2 * USD, version=3)
    assert control.read_budget(ACME, "bud_1") is None
    assert control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=5 * USD, version=1)
    balance = control.read_budget(ACME, "bud_1")
    assert balance is not None
    assert (balance.limit_nanousd, balance.version) == (2 * USD, 3)


def test_a_removed_budget_stays_removed_for_older_messages(
    control: Control, redis_client: redis.Redis
) -> None:
    control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=5 * USD, version=1)
    assert control.remove_budget(ACME, budget_id="bud_1", version=4)
    assert control.read_budget(ACME, "bud_1") is None
    assert not control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=5 * USD, version=1)
    assert not control.remove_budget(ACME, budget_id="bud_1", version=3)
    assert redis_client.pttl(ACME.budget("bud_1")) > 0
    assert control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=6 * USD, version=5)
    assert redis_client.pttl(ACME.budget("bud_1")) == -1


def test_a_limit_that_lua_could_not_count_is_refused(control: Control) -> None:
    with pytest.raises(ValueError, match="nano-dollars"):
        control.set_limit(ACME, budget_id="bud_1", limit_nanousd=2**53, version=1)


def test_budgets_are_read_together_at_one_position(control: Control) -> None:
    control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=1, version=1)
    control.load_new_budget(ACME, budget_id="bud_2", limit_nanousd=2, version=1)
    found = control.read_budgets(ACME, ["bud_1", "bud_absent", "bud_2"])
    assert [balance and balance.limit_nanousd for balance in found] == [1, None, 2]
    assert len({balance.seq for balance in found if balance}) == 1
    assert control.read_budgets(ACME, []) == []


def test_open_holds_are_listed_for_one_tenant_only(control: Control, redis_client: redis.Redis) -> None:
    fields = {"cost": 10, "charge": 12, "draws": "bud_1:w1:charge,bud_t:w1:cost", "epoch": 1}
    fields |= {"tenant": ACME.tenant_id, "mode": "test"}
    redis_client.hset(ACME.hold("h1"), mapping={"state": "dispatched", **fields})
    redis_client.hset(ACME.hold("h2"), mapping={"state": "settled", **fields})
    live = Scope(ACME.tenant_id, "live")
    redis_client.hset(live.hold("h3"), mapping={"state": "reserved", **fields})
    due = {ACME.hold("h1"): 5000, ACME.hold("h2"): 4000, live.hold("h3"): 3000, ACME.hold("h4"): 1}
    redis_client.zadd(deadlines_key(ACME.shard), due)
    [hold] = control.open_holds(ACME)
    assert (hold.hold_id, hold.state, hold.deadline_ms) == ("h1", "dispatched", 5000)
    assert (hold.cost_nanousd, hold.charge_nanousd, hold.budget_ids) == (10, 12, ("bud_1", "bud_t"))


def test_a_shard_that_nobody_opened_is_closed_to_everything(control: Control) -> None:
    assert GLOBEX.shard != ACME.shard
    with pytest.raises(ShardClosed):
        control.publish_tenant(TenantPolicy(GLOBEX.tenant_id, "test"), version=1)
    with pytest.raises(ShardClosed):
        control.read_budget(GLOBEX, "bud_1")
    with pytest.raises(ShardClosed):
        control.set_limit(GLOBEX, budget_id="bud_1", limit_nanousd=1, version=1)
    with pytest.raises(ShardClosed):
        control.remove_budget(GLOBEX, budget_id="bud_1", version=1)
    with pytest.raises(ShardClosed):
        control.publish_default_budget(
            GLOBEX, limit_nanousd=None, ref=None, version=1, arrivals_per_hour_max=0
        )


def test_a_shard_that_another_server_opened_is_closed(control: Control, redis_client: redis.Redis) -> None:
    redis_client.hset(shard_key(ACME.shard), "run_id", "0" * 40)
    with pytest.raises(ShardClosed):
        control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=1, version=1)


def test_while_a_shard_is_rebuilt_policies_are_taken_and_new_budgets_are_not(
    control: Control, redis_client: redis.Redis
) -> None:
    redis_client.hset(shard_key(ACME.shard), "state", "adopting")
    assert control.publish_tenant(TenantPolicy(ACME.tenant_id, "test"), version=1)
    assert control.set_limit(ACME, budget_id="bud_1", limit_nanousd=1, version=1)
    with pytest.raises(ShardClosed):
        control.load_new_budget(ACME, budget_id="bud_1", limit_nanousd=1, version=1)


def test_ensure_open_opens_an_empty_shard_once_and_no_other(
    control: Control, redis_client: redis.Redis
) -> None:
    control.ensure_open(ACME)
    redis_client.hset(shard_key(ACME.shard), mapping={"state": "adopting", "epoch": 4})
    with pytest.raises(ShardClosed, match="must be rebuilt"):
        control.ensure_open(ACME)


def test_a_redis_that_is_away_is_unavailable() -> None:
    control = Control("redis://127.0.0.1:1/0")
    with pytest.raises(EnforcementUnavailable):
        control.ping()
    with pytest.raises(EnforcementUnavailable):
        control.publish_tenant(TenantPolicy(ACME.tenant_id, "test"), version=1)


def test_a_customer_index_is_complete_only_in_the_epoch_it_was_published_in(
    control: Control, redis_client: redis.Redis
) -> None:
    assert not control.complete_customers(ACME, epoch=2)
    assert control.complete_customers(ACME, epoch=1)
    assert redis_client.hget(ACME.customers(), "complete") == b"1"


def test_one_script_that_fails_fails_the_batch(control: Control, redis_client: redis.Redis) -> None:
    redis_client.set(ACME.budget("bud_odd"), "no hash")
    calls = [read_budgets_call(ACME, ["bud_1"]), read_budgets_call(ACME, ["bud_odd"])]
    with pytest.raises(EnforcementUnavailable, match="WRONGTYPE"):
        control.client.run_many(calls)


def test_a_client_that_was_never_used_closes() -> None:
    Control("redis+cluster://127.0.0.1:1/0").close()


@pytest.mark.parametrize(
    "error", [RedisError("broken"), RedisClusterException("no node is reachable"), OSError("no route")]
)
def test_whatever_redis_a_cluster_or_the_network_says_is_unavailable(error: Exception) -> None:
    with pytest.raises(EnforcementUnavailable) as raised, unavailable_on_failure():
        raise error
    assert raised.value.__cause__ is error
