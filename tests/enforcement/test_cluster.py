"""The same code path on a real cluster of three primaries: routing, slots that moved, slots on the move."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from config.devservers import Valkey, free_port
from enforcement.calls import Call, Script
from enforcement.connection import parse_info
from enforcement.decisions import Ended, Granted, Settlement
from enforcement.errors import EnforcementUnavailable
from enforcement.holds import Holds
from enforcement.keys import Scope, shard_key
from enforcement.links import Links
from metering.ids import make_id
from tests.enforcement.desk import Desk, draw

SLOTS = 16384


class Cluster:
    def __init__(self, home: Path) -> None:
        for number in range(3):
            (home / str(number)).mkdir()
            (home / str(number) / "password").write_text("secret")
        self.servers = [Valkey(home / str(number)) for number in range(3)]
        buses = [free_port() for _ in self.servers]
        for server, bus in zip(self.servers, buses, strict=True):
            server.start("--cluster-enabled", "yes", "--cluster-port", str(bus))
        self.clients: list[Any] = [
            redis.Redis(port=server.port, password="secret") for server in self.servers
        ]
        for number, client in enumerate(self.clients):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                self.clients[0].execute_command(
                    "CLUSTER", "MEET", "127.0.0.1", self.servers[number].port, buses[number]
                )
        deadline = time.monotonic() + 20
        while not all(self.is_whole(client) for client in self.clients):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.ids = [client.execute_command("CLUSTER", "MYID").decode() for client in self.clients]

    @property
    def url(self) -> str:
        return f"redis+cluster://:secret@127.0.0.1:{self.servers[0].port}/0"

    @staticmethod
    def is_whole(client: Any) -> bool:
        info = parse_info(client.execute_command("CLUSTER", "INFO"))
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"

    def number_of(self, scope: Scope) -> int:
        return min(key_slot(shard_key(scope.shard).encode()) * 3 // SLOTS, 2)

    def assign(self, slot: int, number: int) -> None:
        for client in (self.clients[number], *self.clients):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", self.ids[number])

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        for server in self.servers:
            server.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
async def links(cluster: Cluster) -> AsyncIterator[Links]:
    links = Links(cluster.url, timeout_ms=1_000)
    yield links
    await links.close()


def scope_on(cluster: Cluster, number: int, skip: int = 0) -> Scope:
    """A tenant whose shard a given primary serves."""
    scopes = (Scope(make_id("ten", seed), "test") for seed in range(10_000))
    fitting = [
        scope for _, scope in zip(range(400), scopes, strict=False) if cluster.number_of(scope) == number
    ]
    return fitting[skip]


def renewal(scope: Scope) -> Call:
    return Call(Script("renew"), scope.shard, (f"{{s{scope.shard}}}:deadlines",), (1_000,))


async def test_holds_live_on_every_primary(cluster: Cluster) -> None:
    holds = Holds(cluster.url)
    await holds.start()
    for number, client in enumerate(cluster.clients):
        desk = Desk(client, scope_on(cluster, number))
        desk.budget("bud_a", 5_000)
        tenant = desk.scope.tenant_policy()
        desk.policy(tenant, 3)
        assert await holds.read_policies((tenant,)) == ((3, b"{}"),)
        granted = await holds.reserve(desk.reservation(draw("bud_a")))
        assert isinstance(granted, Granted)
        assert await holds.dispatched(granted)
        await holds._upkeep.renew()
        settlement = Settlement(cost_nanousd=300, charge_nanousd=300, basis="reported", body=b"{}")
        assert await holds.settle(granted, settlement) == Ended(corrected=False, remaining_nanousd=4_700)
        assert desk.spent("bud_a") == 300
    await holds.close()


async def test_a_slot_that_moved_is_followed(cluster: Cluster, links: Links) -> None:
    scope = scope_on(cluster, 0, skip=1)
    slot = key_slot(shard_key(scope.shard).encode())
    await links.start()
    assert (await links.run(renewal(scope), 1))[0] == b"closed"
    before = await links.run_id_of(scope.shard)
    cluster.assign(slot, 1)
    try:
        assert (await links.run(renewal(scope), 1))[0] == b"closed"
        assert await links.run_id_of(scope.shard) != before
        cluster.assign(slot, 0)
        assert await links.read(scope.shard, "HGET", shard_key(scope.shard), "epoch") is None
        assert await links.run_id_of(scope.shard) == before
    finally:
        cluster.assign(slot, 0)


async def test_a_slot_on_the_move_is_no_redis(cluster: Cluster, links: Links) -> None:
    scope = scope_on(cluster, 0, skip=2)
    slot = key_slot(shard_key(scope.shard).encode())
    source, target = cluster.clients[0], cluster.clients[2]
    await links.start()
    source.hset(shard_key(scope.shard), "state", "open")
    target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.ids[0])
    source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.ids[2])
    try:
        with pytest.raises(EnforcementUnavailable, match="TRYAGAIN"):
            await links.run(renewal(scope), 1)
        with pytest.raises(EnforcementUnavailable, match="ASK"):
            await links.read(scope.shard, "HGET", f"{{s{scope.shard}}}:nothing", "epoch")
    finally:
        source.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
        target.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")


async def test_a_cluster_that_cannot_be_reached_is_unavailable() -> None:
    links = Links(f"redis+cluster://127.0.0.1:{free_port()}/0", timeout_ms=300)
    with pytest.raises(EnforcementUnavailable):
        await links.start()
    with pytest.raises(EnforcementUnavailable):
        await links.read(0, "PING")
    await links.close()


async def test_a_node_that_lost_its_scripts_is_given_them_again(cluster: Cluster, links: Links) -> None:
    scope = scope_on(cluster, 2)
    await links.start()
    cluster.clients[2].script_flush()
    assert (await links.run(renewal(scope), 1))[0] == b"closed"


async def test_a_node_the_cluster_does_not_know_is_unavailable(links: Links) -> None:
    await links.start()
    with pytest.raises(EnforcementUnavailable, match="no node"):
        links._link_to("127.0.0.1", 1)
