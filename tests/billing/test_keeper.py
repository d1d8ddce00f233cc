"""The keeper on real servers: shards open, close and open again with what PostgreSQL says."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import redis
from django.core.management import call_command
from django.db import OperationalError

from billing.keeper import LOCK_CLASS, Keeper
from billing.keeper_source import PostgresSource, matters
from billing.ledger.recorder import Recorder
from billing.management.commands.publisher import Publisher
from enforcement.control import Control
from enforcement.control_client import ControlClient
from enforcement.keys import Scope, shard_key, wanted_key
from enforcement.rebuild import Patience
from enforcement.shard_records import read_records
from metering.ids import derived_id
from metering.windows import WindowSpec, window_at
from tenants.actions import budgets
from tenants.models import Tenant, TenantSettings
from tests.billing.conftest import Streams, body_of, sql
from tests.enforcement.desk import Desk, draw
from tests.factories import ACTOR, make_budget, make_customer, make_key, make_tenant
from tests.plugin import POSTGRES

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

AT_ONCE = Patience(adopt_ms=0, carried_lease_ms=30_000)
NOW_MS = int(time.time() * 1000)


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    control = Control(redis_url)
    yield control
    control.close()


@pytest.fixture
def keeper(control: Control, transactional_db: None) -> Keeper:
    return Keeper(control.client, patience=AT_ONCE)


def restart(client: redis.Redis) -> None:
    """Make every shard look as if another process had served it."""
    for shard in range(256):
        client.hset(shard_key(shard), "run_id", "0" * 40)


def month() -> str:
    return window_at(WindowSpec("month"), NOW_MS).window_id


def spend(streams: Streams, scope: Scope, budget_id: str, nanousd: int, **changes: Any) -> None:
    draws = f"{budget_id}:{month()}:charge"
    streams.append(scope.tenant_id, cost=nanousd, charge=nanousd, draws=draws, **changes)


def scope_of(tenant: Tenant) -> Scope:
    return Scope(tenant.pk, "test")


def states(client: ControlClient) -> set[str]:
    return {record.state for record in read_records(client, range(256))}


def test_an_empty_redis_is_open_within_a_second(control: Control, keeper: Keeper) -> None:
    make_tenant("Acme")
    started = time.monotonic()
    tick = keeper.tick()
    assert time.monotonic() - started < 1.0
    assert (len(tick.opened), tick.closed, tick.is_settled) == (256, 0, True)
    assert states(control.client) == {"open"}
    assert keeper.tick().is_settled


def test_after_a_restart_documents_limits_and_sums_are_those_of_postgresql(
    control: Control, keeper: Keeper, redis_client: redis.Redis, recorder: Recorder
) -> None:
    tenant = make_tenant("Acme")
    customer = make_customer(tenant)
    budget = make_budget(tenant, customer, limit="5.00")
    key = make_key(tenant, customer)
    keeper.tick()
    scope = scope_of(tenant)
    spend(Streams(redis_client), scope, budget.pk, 700)
    restart(redis_client)
    assert len(keeper.tick().opened) == 0  # begun; the recorder has not seen it yet
    recorder.drain()
    assert len(keeper.tick().opened) == 256
    balance = control.read_budget(scope, budget.pk)
    assert balance is not None
    assert (balance.limit_nanousd, balance.epoch) == (5_000_000_000, 2)
    assert [(window.window_id, window.spent_nanousd) for window in balance.windows] == [(month(), 700)]
    versions = control.published_versions(
        scope, [scope.tenant_policy(), scope.customer_policy(customer.pk), scope.key_policy(key.row.digest)]
    )
    assert all(versions)


def test_an_emptied_redis_never_begins_an_epoch_again(
    control: Control, keeper: Keeper, redis_client: redis.Redis, recorder: Recorder
) -> None:
    keeper.tick()
    recorder.step()
    redis_client.flushall()
    recorder.look_around()
    keeper.tick()
    assert {record.epoch for record in read_records(control.client, range(256))} == {2}
    recorder.look_around()
    assert len(keeper.tick().opened) == 256


def test_a_shard_that_another_keeper_works_on_is_left_alone(
    control: Control, keeper: Keeper, redis_client: redis.Redis
) -> None:
    with psycopg.connect(POSTGRES.url("farebox_app", _database()), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, 7)", [LOCK_CLASS])
        assert 7 not in keeper.tick().opened
    assert keeper.tick().opened == [7]


def test_no_lock_is_kept_between_looks(keeper: Keeper) -> None:
    keeper.tick()
    assert sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", LOCK_CLASS) == [
        (0,)
    ]


def test_a_tenant_made_later_gets_its_customer_index(keeper: Keeper, redis_client: redis.Redis) -> None:
    keeper.tick()
    tenant = make_tenant("Acme")
    make_customer(tenant, "acme-1")
    keeper.tick()
    index = redis_client.hgetall(scope_of(tenant).customers())
    assert index[b"complete"] == b"1"
    assert len(index) == 3
    assert redis_client.hget(Scope(tenant.pk, "live").customers(), "complete") == b"1"


def test_a_wanted_budget_is_loaded_with_its_sum(
    control: Control, keeper: Keeper, redis_client: redis.Redis, recorder: Recorder
) -> None:
    tenant = make_tenant("Acme")
    keeper.tick()
    scope = scope_of(tenant)
    budget = make_budget(tenant, make_customer(tenant), limit="5.00")
    spend(Streams(redis_client), scope, budget.pk, 700)
    redis_client.hset(wanted_key(scope.shard), f"{tenant.pk}:test:{budget.pk}", 1)
    redis_client.delete(scope.budget(budget.pk))
    assert keeper.tick().wanted == 1
    recorder.drain()
    assert keeper.tick().wanted == 0
    balance = control.read_budget(scope, budget.pk)
    assert balance is not None
    assert balance.windows[0].spent_nanousd == 700


def test_a_first_seen_customer_s_budget_without_a_row_is_loaded_under_the_default(
    keeper: Keeper, redis_client: redis.Redis, recorder: Recorder
) -> None:
    tenant = make_tenant("Acme")
    TenantSettings.objects.filter(tenant=tenant, mode="test").update(
        unknown_customer="default_budget", default_limit_nanousd=9_000
    )
    scope = scope_of(tenant)
    stray = derived_id("bud", tenant.pk, "test", "stranger", "default")
    archived = make_budget(tenant, make_customer(tenant))
    budgets.archive_budget(budget=archived, actor=ACTOR)
    streams = Streams(redis_client)
    streams.open(tenant.pk)
    for budget_id in (stray, archived.pk):
        spend(streams, scope, budget_id, 400)
    recorder.drain()
    _, loads = PostgresSource().budgets([scope.shard])
    [load] = [load for load in loads if load.scope == scope]
    assert (load.budget_id, load.limit_nanousd, load.windows) == (stray, 9_000, ((month(), 400),))
    _, named = PostgresSource().budgets_named([(scope, stray), (Scope("ten_nobody", "test"), "bud_x")])
    assert list(named) == [load]


def test_a_budget_asked_to_count_so_far_counts_the_window_it_was_made_in(
    redis_client: redis.Redis, recorder: Recorder
) -> None:
    tenant = make_tenant("Acme")
    customer = make_customer(tenant)
    scope = scope_of(tenant)
    streams = Streams(redis_client)
    streams.open(tenant.pk)
    body = body_of(customer_id=customer.pk, started_ms=NOW_MS)
    spend(streams, scope, "bud_other", 300, body=body)
    budget = make_budget(tenant, customer, count_so_far=True)
    spend(streams, scope, budget.pk, 50, body=body)
    recorder.drain()
    _, loads = PostgresSource().budgets_named([(scope, budget.pk)])
    assert next(iter(loads)).windows == ((month(), 350),)


@pytest.mark.parametrize(
    ("window_id", "days", "expected"),
    [
        ("t0", 9000, True),
        ("d0", 3, True),
        ("d0", 5, False),
        ("w0", 9, True),
        ("m0", 33, True),
        ("a0", 35, False),
    ],
)
def test_windows_that_nobody_draws_on_any_more_are_left_out(
    window_id: str, days: int, expected: bool
) -> None:
    assert matters(window_id, days * 24 * 3600 * 1000) is expected


def test_the_publisher_does_all_its_duties_and_stops_when_told(
    control: Control, redis_client: redis.Redis
) -> None:
    tenant = make_tenant("Acme")
    publisher, stop = Publisher(control), threading.Event()
    threading.Timer(1.2, stop.set).start()
    publisher.run(stop)
    assert states(control.client) == {"open"}
    scope = scope_of(tenant)
    assert control.published_versions(scope, [scope.tenant_policy()]) != [0]


def test_a_duty_that_cannot_be_done_does_not_keep_the_others(control: Control) -> None:
    now = [0.0]
    publisher = Publisher(control, clock=lambda: now[0])
    done: list[str] = []

    def fail(error: Exception) -> Callable[[], bool]:
        def work() -> bool:
            raise error

        return work

    publisher.duties[0].work = fail(OperationalError("away"))
    publisher.duties[1].work = fail(RuntimeError("a fault"))
    publisher.duties[2].work = lambda: bool(done.append("arrivals"))
    for _ in range(2):
        publisher.step()
        now[0] += 10
    assert done == ["arrivals"] * 2
    assert [duty.is_failing for duty in publisher.duties] == [True, False, False, False, False]


def test_the_command_stops_cleanly_when_told(
    control: Control, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.setattr("django.conf.settings.REDIS_URL", redis_url)
    scope = Scope("ten_acme0000000000a", "test")
    control.ensure_open(scope)
    desk = Desk(redis_client, scope)
    desk.open_shard(epoch=1)
    desk.budget("bud_a", 5_000)
    ref, _ = desk.sent(draw("bud_a"))
    desk.lapse(ref)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    try:
        call_command("publisher")
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert states(control.client) == {"open"}
    assert desk.hold(ref)["state"] == "expired"


def _database() -> str:
    return str(sql("SELECT current_database()")[0][0])
