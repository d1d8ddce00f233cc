"""What a proxy does when a shard closes: it brings its holds and ends into the next epoch, or fails closed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis

from enforcement.decisions import (
    Ended,
    Idempotency,
)
from enforcement.errors import ShardClosed
from enforcement.holds import Holds
from enforcement.keys import shard_key
from enforcement.policies import RateLimit
from tests.enforcement.desk import ACME, EPOCH, Desk
from tests.enforcement.proxies import grant, send, settlement


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 50_000)
    return desk


@pytest.fixture
async def holds(desk: Desk, redis_url: str) -> AsyncIterator[Holds]:
    holds = Holds(redis_url, timeout_ms=500, renew_every_ms=60_000)
    await holds.start()
    yield holds
    await holds.close()


async def test_a_recorder_that_never_ran_has_passed_nothing(desk: Desk, redis_url: str) -> None:
    first = Holds(redis_url)
    await first.start()
    granted = await send(first, desk)
    desk.redis.hdel(shard_key(ACME.shard), "recorded")
    await first.settle(granted, settlement(1))
    await first._upkeep.renew()
    assert first.unrecorded == 1
    await first.close()


async def test_ends_are_kept_until_the_recorder_has_passed_them(holds: Holds, desk: Desk) -> None:
    for _ in range(3):
        await holds.settle(await send(holds, desk), settlement(1))
    first = int(desk.events()[0]["seq"])
    assert holds.unrecorded == 3
    desk.redis.hset(shard_key(ACME.shard), "recorded", first)
    await holds._upkeep.renew()  # asks, since no call told
    assert holds.unrecorded == 2
    desk.redis.hset(shard_key(ACME.shard), "recorded", int(desk.events()[-1]["seq"]))
    await grant(holds, desk)  # any reply tells
    assert holds.unrecorded == 0
    await holds._upkeep.renew()


async def test_a_new_epoch_adopts_open_holds_and_replays_unrecorded_ends(holds: Holds, desk: Desk) -> None:
    mine = Idempotency("digest", "body-1")
    open_one = await send(holds, desk, idempotency=mine, rates=(RateLimit("lim_a", in_flight_max=9),))
    ended = await send(holds, desk)
    await holds.settle(ended, settlement(300))
    left = await send(holds, desk)
    await holds.leave_unresolved(left, body=b"{}")
    events = desk.events()
    # everything is lost; the keeper begins a new epoch and has not loaded any budget yet
    desk.redis.flushall()
    desk.open_shard(state="adopting", epoch=EPOCH + 1)
    await holds._upkeep.renew()
    hold = desk.hold(holds._open[open_one.hold_id].ref)
    assert (hold["state"], hold["epoch"], hold["cost"], hold["idem"]) == (
        "dispatched",
        str(EPOCH + 1),
        "1000",
        "digest",
    )
    assert desk.redis.zscore(ACME.in_flight("lim_a"), open_one.hold_id)
    assert desk.held("bud_a") == 1_000
    replayed = desk.events()
    for field in (
        "event_id",
        "kind",
        "basis",
        "cost",
        "charge",
        "draws",
        "body",
        "corrects",
        "tenant_id",
        "mode",
    ):
        assert [event[field] for event in replayed] == [event[field] for event in events]
    assert holds.unrecorded == 2
    assert await holds.settle(open_one, settlement(7)) == Ended(corrected=False, remaining_nanousd=0)
    assert holds.unrecorded == 3
    desk.redis.hset(shard_key(ACME.shard), "recorded", int(desk.redis.hget(shard_key(ACME.shard), "seq")))
    await holds._upkeep.renew()
    assert holds.unrecorded == 0


async def test_an_end_whose_hold_expired_meanwhile_is_brought_as_a_correction(
    holds: Holds, desk: Desk
) -> None:
    granted = await send(holds, desk)
    ref = holds._open[granted.hold_id].ref
    await holds.settle(granted, settlement(300))
    # the settle is lost, the hold is carried into the next epoch by the keeper and expires there
    desk.redis.flushall()
    desk.open_shard(epoch=EPOCH + 1)
    desk.budget("bud_a", 50_000, **{"s:total:0": 0, "h:total:0": 1_000})
    desk.redis.hset(
        ACME.hold(ref.hold_id),
        mapping={
            "state": "dispatched", "attempt": "attempt-1", "epoch": EPOCH + 1, "deadline": 1, "cost": 1_000,
            "charge": 1_000, "cap": 90, "request": "req_1", "tenant": ACME.tenant_id, "mode": "test",
            "draws": "bud_a:total:0:charge", "flight": "", "idem": "", "body": "{}",
        },
    )  # fmt: skip
    assert desk.expire(ref) == ["expired"]
    await grant(holds, desk)
    assert [(event["kind"], event["charge"]) for event in desk.events()] == [
        ("expired", "1000"),
        ("correction", "-700"),
    ]
    assert desk.spent("bud_a") == 300
    assert holds.unrecorded == 1


async def test_a_hold_that_expired_before_it_was_adopted_is_corrected_by_its_settle(
    holds: Holds, desk: Desk
) -> None:
    granted = await send(holds, desk)
    desk.expire(holds._open[granted.hold_id].ref, is_forced=True)
    desk.open_shard(epoch=EPOCH + 1)
    desk.budget("bud_a", 50_000)
    await grant(holds, desk)
    assert await holds.settle(granted, settlement(300)) == Ended(corrected=True, remaining_nanousd=48_700)


async def test_a_shard_that_went_back_in_time_is_closed(holds: Holds, desk: Desk) -> None:
    for _ in range(3):
        await grant(holds, desk)
    desk.redis.hset(shard_key(ACME.shard), "seq", 1)
    with pytest.raises(ShardClosed):
        await grant(holds, desk)
    assert desk.redis.hget(shard_key(ACME.shard), "state") == b"closed"
    with pytest.raises(ShardClosed):
        await grant(holds, desk)


async def test_nothing_is_reserved_while_a_shard_is_rebuilt(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    desk.open_shard(state="adopting")
    with pytest.raises(ShardClosed):
        await grant(holds, desk)
    assert isinstance(await holds.settle(granted, settlement(1)), Ended)


async def test_an_end_that_is_recorded_at_once_is_not_kept(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    desk.redis.hset(shard_key(ACME.shard), "recorded", 1_000)
    await holds.settle(granted, settlement(1))
    assert holds.unrecorded == 0


async def test_another_server_process_closes_the_shard(holds: Holds, desk: Desk) -> None:
    await grant(holds, desk)
    desk.redis.hset(shard_key(ACME.shard), "run_id", "another")
    with pytest.raises(ShardClosed):
        await grant(holds, desk)


async def test_a_shard_nobody_opened_is_closed(desk: Desk, redis_url: str) -> None:
    desk.redis.delete(shard_key(ACME.shard))
    holds = Holds(redis_url)
    await holds.start()
    with pytest.raises(ShardClosed):
        await grant(holds, desk)
    await holds.close()


async def test_policies_of_a_new_epoch_are_read_by_a_proxy_that_was_idle(holds: Holds, desk: Desk) -> None:
    """Nothing but this read would tell it of the epoch: every key would be unknown to it for ever."""
    key = ACME.key_policy("digest")
    desk.policy(key, 3)
    assert await holds.read_policies((key,)) == ((3, b"{}"),)
    desk.open_shard(epoch=EPOCH + 1)
    desk.policy(key, 4)
    assert await holds.read_policies((key,)) == ((4, b"{}"),)


@pytest.mark.parametrize("state", ["adopting", "closed"])
async def test_an_absent_policy_proves_nothing_while_a_shard_is_rebuilt(
    holds: Holds, desk: Desk, state: str
) -> None:
    key = ACME.key_policy("digest")
    assert await holds.read_policies((key,)) == (None,)
    desk.open_shard(state=state)
    with pytest.raises(ShardClosed):
        await holds.read_policies((key,))
