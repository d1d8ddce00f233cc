"""What a person corrects: once, with spent and the stream together, and a later end corrects from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from enforcement.calls import BookedDraw
from enforcement.control import Control
from enforcement.corrections import Correction, append_correction
from enforcement.decisions import Settlement
from enforcement.errors import EnforcementUnavailable, ShardClosed
from enforcement.hold_calls import HoldRef, settle_call
from enforcement.keys import Scope, usage_key

ACME = Scope("ten_acme000000000000", "test")
HOLD = "01m7ybkrtbx6ff9a9rvczp4bhd"
DRAWS = (BookedDraw("bud_c", "m1", "charge"), BookedDraw("bud_t", "t0", "cost"))
NOTHING = Correction(
    scope=ACME, hold_id=HOLD, draws=DRAWS, booked_cost_nanousd=100, booked_charge_nanousd=120, cost_nanousd=0,
    charge_nanousd=0, basis="none", body=b"{}",
)  # fmt: skip


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    control = Control(redis_url)
    control.ensure_open(ACME)
    for budget_id, window, spent in (("bud_c", "m1", 120), ("bud_t", "t0", 100)):
        control.load_new_budget(ACME, budget_id=budget_id, limit_nanousd=1000, version=1)
        redis_client.hset(ACME.budget(budget_id), f"s:{window}", spent)
    yield control
    control.close()


def spent(client: redis.Redis) -> tuple[int, int]:
    return int(client.hget(ACME.budget("bud_c"), "s:m1")), int(client.hget(ACME.budget("bud_t"), "s:t0"))  # type: ignore[arg-type]


def events(client: redis.Redis) -> list[tuple[bytes, bytes, bytes]]:
    found = client.xrange(usage_key(ACME.shard))
    return [(fields[b"event_id"], fields[b"cost"], fields[b"charge"]) for _, fields in found]


def test_a_correction_moves_spent_and_leaves_one_event(control: Control, redis_client: redis.Redis) -> None:
    assert append_correction(control.client, replace(NOTHING, cost_nanousd=30, charge_nanousd=36)) is True

    assert spent(redis_client) == (36, 30)
    assert events(redis_client) == [(f"{HOLD}.correction.0".encode(), b"-70", b"-84")]


def test_a_second_one_is_too_late(control: Control, redis_client: redis.Redis) -> None:
    assert append_correction(control.client, NOTHING) is True
    assert append_correction(control.client, NOTHING) is False
    assert spent(redis_client) == (0, 0)
    assert len(events(redis_client)) == 1


def test_an_end_that_comes_later_corrects_from_what_is_booked_now(
    control: Control, redis_client: redis.Redis
) -> None:
    append_correction(control.client, NOTHING)
    late = Settlement(cost_nanousd=50, charge_nanousd=60, basis="reported", body=b"{}")

    reply = control.client.run_in_life(settle_call(HoldRef(ACME, HOLD, DRAWS), late), epoch=1)

    assert reply.status == "ended"
    assert spent(redis_client) == (60, 50)
    assert events(redis_client)[1] == (f"{HOLD}.correction.1".encode(), b"50", b"60")
    assert append_correction(control.client, NOTHING) is False


def test_a_budget_that_is_not_loaded_is_left_to_the_ledger(
    control: Control, redis_client: redis.Redis
) -> None:
    redis_client.delete(ACME.budget("bud_c"))
    assert append_correction(control.client, NOTHING) is True
    assert redis_client.exists(ACME.budget("bud_c")) == 0
    assert len(events(redis_client)) == 1


def test_a_closed_shard_takes_none(control: Control, redis_client: redis.Redis) -> None:
    redis_client.flushall()
    with pytest.raises(ShardClosed):
        append_correction(control.client, NOTHING)


def test_a_hold_that_ended_otherwise_is_left_alone(control: Control, redis_client: redis.Redis) -> None:
    control.client.redis.hset(ACME.hold(HOLD), mapping={"state": "settled"})
    assert append_correction(control.client, NOTHING) is False
    assert events(redis_client) == []
    with pytest.raises(EnforcementUnavailable):
        append_correction(Control("redis://127.0.0.1:1/0").client, NOTHING)
