"""The control side on a real cluster of three primaries: the same calls, spread over the shards' slots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enforcement.control import Control
from enforcement.errors import EnforcementUnavailable
from enforcement.hold_calls import HoldRef
from enforcement.keys import Scope, shard_key
from enforcement.policies import KeyPolicy
from enforcement.rebuild import Patience, Rebuilder
from enforcement.shard_records import read_records
from enforcement.sweeper import Sweeper
from enforcement.wanted import WantedLoader
from metering.ids import make_id
from tests.enforcement.desk import Desk, draw
from tests.enforcement.ledger_stub import LedgerStub
from tests.enforcement.test_cluster import Cluster

SHARDS = range(256)


@pytest.fixture(scope="module")
def primaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("control_cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def control(primaries: Cluster) -> Iterator[Control]:
    for client in primaries.clients:
        client.flushall()
        client.script_flush()
    control = Control(primaries.url)
    yield control
    control.close()


def tenant_on(cluster: Cluster, number: int) -> Scope:
    scopes = (Scope(make_id("ten", seed), "test") for seed in range(1000))
    return next(scope for scope in scopes if cluster.number_of(scope) == number)


def open_all(control: Control, ledger: LedgerStub) -> Rebuilder:
    rebuilder = Rebuilder(control.client, ledger, Patience(adopt_ms=0, carried_lease_ms=0))
    assert len(rebuilder.advance(rebuilder.look(SHARDS).closed, now_ms=0).opened) == len(SHARDS)
    return rebuilder


def desk_of(cluster: Cluster, scope: Scope, number: int) -> Desk:
    desk = Desk(cluster.clients[number], scope)
    desk.open_shard(epoch=1)
    return desk


def test_every_shard_of_an_empty_cluster_opens(control: Control, primaries: Cluster) -> None:
    control.ping()
    open_all(control, LedgerStub(tenant_on(primaries, 0)))
    assert {record.state for record in read_records(control.client, SHARDS)} == {"open"}
    served_by = {record.server_run_id for record in read_records(control.client, SHARDS)}
    assert served_by == {str(client.info("server")["run_id"]) for client in primaries.clients}


def test_each_primary_takes_its_tenants_documents_and_budgets(control: Control, primaries: Cluster) -> None:
    open_all(control, LedgerStub(tenant_on(primaries, 0)))
    for number in range(3):
        scope = tenant_on(primaries, number)
        policy = KeyPolicy("key_1", scope.tenant_id, "test", "server")
        assert control.publish_key(policy, digest="d1", version=4)
        assert control.published_versions(scope, [scope.key_policy("d1")]) == [4]
        assert control.load_new_budget(scope, budget_id="bud_a", limit_nanousd=5_000, version=1)
        desk = desk_of(primaries, scope, number)
        ref, _ = desk.sent(draw("bud_a"))
        assert [hold.hold_id for hold in control.open_holds(scope)] == [ref.hold_id]
        balance = control.read_budget(scope, "bud_a")
        assert balance is not None
        assert balance.windows[0].held_nanousd == 1000


def test_overdue_holds_on_every_primary_are_swept_in_one_pass(control: Control, primaries: Cluster) -> None:
    open_all(control, LedgerStub(tenant_on(primaries, 0)))
    desks: list[tuple[Desk, HoldRef]] = []
    for number in range(3):
        desk = desk_of(primaries, tenant_on(primaries, number), number)
        desk.budget("bud_a", 5_000)
        ref, _ = desk.sent(draw("bud_a"))
        desk.lapse(ref)
        desks.append((desk, ref))
    assert Sweeper(control.client).sweep(SHARDS).expired == 3
    assert [desk.spent("bud_a") for desk, _ in desks] == [1000] * 3


def test_a_primary_that_is_another_process_has_its_shards_rebuilt_alone(
    control: Control, primaries: Cluster
) -> None:
    scope = tenant_on(primaries, 1)
    ledger = LedgerStub(scope, limits={"bud_a": 5_000})
    rebuilder = open_all(control, ledger)
    control.publish_key(KeyPolicy("key_1", scope.tenant_id, "test", "server"), digest="d1", version=4)
    desk = desk_of(primaries, scope, 1)
    ref, _ = desk.sent(draw("bud_a"))
    desk.settle(ref, 300)
    ledger.record(desk.redis)
    desk.redis.hset(shard_key(scope.shard), "run_id", "0" * 40)
    look = rebuilder.look(SHARDS)
    assert [shard.record.shard for shard in look.closed] == [scope.shard]
    rebuilder.advance(look.closed, now_ms=0)
    assert rebuilder.advance(rebuilder.look(SHARDS).closed, now_ms=2**50).opened == [scope.shard]
    assert desk.spent("bud_a") == 300
    assert control.published_versions(scope, [scope.key_policy("d1")]) == [0]
    assert WantedLoader(control.client, ledger).advance(rebuilder.look(SHARDS).open_epochs) == 0


def test_a_cluster_that_is_away_is_unavailable() -> None:
    with pytest.raises(EnforcementUnavailable):
        Control("redis+cluster://127.0.0.1:1/0").ping()
