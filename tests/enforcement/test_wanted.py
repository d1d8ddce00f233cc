"""A budget that is wanted is loaded from the ledger while traffic flows, exactly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from enforcement.control_client import ControlClient
from enforcement.decisions import Granted, NotLoaded
from enforcement.errors import ShardClosed
from enforcement.keys import wanted_key
from enforcement.wanted import WantedLoader, unload_budget, want_budget
from tests.enforcement.desk import ACME, EPOCH, Desk, draw
from tests.enforcement.ledger_stub import LedgerStub

SHARD = ACME.shard
EPOCHS = {SHARD: EPOCH}


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 5_000)
    return desk


@pytest.fixture
def ledger() -> LedgerStub:
    return LedgerStub(ACME, limits={"bud_a": 5_000, "bud_new": 2_000})


@pytest.fixture
def loader(redis_url: str, ledger: LedgerStub) -> Iterator[WantedLoader]:
    client = ControlClient(redis_url)
    yield WantedLoader(client, ledger)
    client.close()


def want(desk: Desk, budget_id: str = "bud_new") -> None:
    assert isinstance(desk.reserve(desk.reservation(draw(budget_id))), NotLoaded)


def forget(desk: Desk, budget_id: str) -> None:
    """Unload a budget, as a late replay does, but keep its windows."""
    desk.redis.hdel(ACME.budget(budget_id), "limit")


def test_a_wanted_budget_is_loaded_with_what_the_books_say(
    desk: Desk, loader: WantedLoader, ledger: LedgerStub
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.settle(ref, 700)
    ledger.record(desk.redis)
    forget(desk, "bud_a")
    want(desk, "bud_a")
    assert loader.advance(EPOCHS) == 0
    assert desk.spent("bud_a") == 700
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"))), Granted)
    assert desk.redis.exists(wanted_key(SHARD)) == 0


def test_nothing_wanted_asks_nothing(desk: Desk, loader: WantedLoader) -> None:
    assert loader.advance(EPOCHS) == 0


def test_a_budget_that_nobody_knows_is_no_longer_wanted(desk: Desk, loader: WantedLoader) -> None:
    want(desk, "bud_unknown")
    assert loader.advance(EPOCHS) == 0
    assert desk.redis.exists(wanted_key(SHARD)) == 0


def test_a_load_waits_for_the_recorder_to_pass_its_position(
    desk: Desk, loader: WantedLoader, ledger: LedgerStub
) -> None:
    want(desk)
    ref, _ = desk.sent(draw("bud_a"))
    desk.settle(ref, 700)
    assert loader.advance(EPOCHS) == 1
    want(desk)
    ledger.record(desk.redis)
    assert loader.advance(EPOCHS) == 0


def test_constant_traffic_does_not_keep_a_budget_from_being_loaded(
    desk: Desk, loader: WantedLoader, ledger: LedgerStub
) -> None:
    want(desk)
    for left in (1, 0):
        ref, _ = desk.sent(draw("bud_a"))
        ledger.record(desk.redis)  # the recorder is always one event behind
        desk.settle(ref, 10)
        assert loader.advance(EPOCHS) == left


def test_an_end_while_a_budget_is_loaded_begins_the_load_anew(
    desk: Desk, loader: WantedLoader, ledger: LedgerStub
) -> None:
    first, _ = desk.sent(draw("bud_a"))
    second, _ = desk.sent(draw("bud_a"))
    desk.settle(first, 300)
    forget(desk, "bud_a")
    want(desk, "bud_a")
    assert loader.advance(EPOCHS) == 1
    desk.settle(second, 40)
    ledger.record(desk.redis)
    assert loader.advance(EPOCHS) == 0
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (340, 0)


def test_an_end_between_position_and_sum_is_not_counted_twice(
    desk: Desk, loader: WantedLoader, ledger: LedgerStub
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    forget(desk, "bud_a")
    want(desk, "bud_a")
    budgets_named = ledger.budgets_named
    asked = []

    def end_in_between(names):  # type: ignore[no-untyped-def]  # as the method it stands in for
        asked.append(names)
        if len(asked) == 2:
            desk.settle(ref, 300)
            ledger.record(desk.redis)
        return budgets_named(names)

    ledger.budgets_named = end_in_between  # type: ignore[method-assign]
    assert loader.advance(EPOCHS) == 1
    assert loader.advance(EPOCHS) == 0
    assert desk.spent("bud_a") == 300


def test_a_budget_that_was_loaded_meanwhile_leaves_the_wanted_ones(desk: Desk, loader: WantedLoader) -> None:
    desk.redis.hset(wanted_key(SHARD), f"{ACME.tenant_id}:test:bud_a", 1)
    assert loader.advance(EPOCHS) == 0
    assert desk.redis.exists(wanted_key(SHARD)) == 0


def test_a_shard_that_closed_meanwhile_is_left(desk: Desk, loader: WantedLoader) -> None:
    want(desk)
    desk.open_shard(state="adopting")
    assert loader.advance(EPOCHS) == 1


@pytest.fixture
def client(redis_url: str) -> Iterator[ControlClient]:
    client = ControlClient(redis_url)
    yield client
    client.close()


def test_the_control_plane_wants_a_budget_from_the_position_it_asks_at(
    desk: Desk, loader: WantedLoader, ledger: LedgerStub, client: ControlClient
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.settle(ref, 700)
    assert not want_budget(client, ACME, "bud_new")
    assert loader.advance(EPOCHS) == 1  # the recorder has not passed the event before it
    assert not want_budget(client, ACME, "bud_new")
    ledger.record(desk.redis)
    assert loader.advance(EPOCHS) == 0
    assert want_budget(client, ACME, "bud_new")
    assert desk.redis.exists(wanted_key(SHARD)) == 0


def test_an_unloaded_budget_admits_nothing_until_it_is_loaded_with_what_the_books_say(
    desk: Desk, loader: WantedLoader, ledger: LedgerStub, client: ControlClient
) -> None:
    first, _ = desk.sent(draw("bud_a"))
    second, _ = desk.sent(draw("bud_a"))
    desk.settle(first, 300)
    desk.redis.hincrby(ACME.budget("bud_a"), "s:total:0", 999)
    assert unload_budget(client, ACME, "bud_a")
    assert not unload_budget(client, ACME, "bud_a")
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"))), NotLoaded)
    assert loader.advance(EPOCHS) == 1
    ledger.record(desk.redis)
    assert loader.advance(EPOCHS) == 0
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (300, 1_000)
    desk.settle(second, 40)
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (340, 0)


def test_an_unloaded_budget_keeps_a_limit_that_is_newer_than_the_one_it_is_loaded_with(
    desk: Desk, loader: WantedLoader, client: ControlClient
) -> None:
    desk.budget("bud_a", 4_000)
    desk.redis.hset(ACME.budget("bud_a"), "version", 9)
    unload_budget(client, ACME, "bud_a")
    assert loader.advance(EPOCHS) == 0
    assert (desk.record("bud_a")["limit"], desk.record("bud_a")["version"]) == ("4000", "9")


def test_a_closed_shard_unloads_nothing(desk: Desk, client: ControlClient) -> None:
    desk.open_shard(state="adopting")
    with pytest.raises(ShardClosed):
        unload_budget(client, ACME, "bud_a")
    assert "limit" in desk.record("bud_a")
