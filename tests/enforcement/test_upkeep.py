"""What goes on behind the calls: renewing, and ends that wait until they can be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from enforcement.errors import EnforcementUnavailable, ShardClosed
from enforcement.holds import Holds
from enforcement.keys import shard_key
from enforcement.open_holds import Ending
from enforcement.policies import RateLimit
from tests.enforcement.desk import ACME, Desk, draw
from tests.enforcement.proxies import grant, lose_replies, send, settlement, until


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


async def test_ends_wait_for_a_shard_that_is_closed(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    desk.open_shard(state="closed")
    with pytest.raises(ShardClosed):
        await holds.settle(granted, settlement(300))
    with pytest.raises(ShardClosed):
        await holds.reserve(desk.reservation(draw("bud_a")))
    assert holds.unrecorded == 1
    desk.open_shard()
    await until(lambda: desk.spent("bud_a") == 300)
    await until(lambda: holds.open_holds == 0)


async def test_ends_wait_for_a_redis_that_is_away(desk: Desk, redis_url: str) -> None:
    holds = Holds(redis_url, timeout_ms=200, renew_every_ms=60_000)
    await holds.start()
    granted = await send(holds, desk)
    desk.redis.client_pause(600, all=True)
    with pytest.raises(EnforcementUnavailable):
        await holds.settle(granted, settlement(300))
    await until(lambda: holds.open_holds == 0)
    assert desk.spent("bud_a") == 300
    assert len(desk.events()) == 1
    await holds.close()


async def test_closing_sends_what_is_queued(desk: Desk, redis_url: str) -> None:
    holds = Holds(redis_url, timeout_ms=500)
    await holds.start()
    granted = await send(holds, desk)
    lose_replies(holds, 1)
    with pytest.raises(EnforcementUnavailable):
        await holds.release(granted)
    await holds.close()
    assert holds._upkeep.queued == 0
    assert desk.held("bud_a") == 0


async def test_closing_does_not_wait_for_ever(desk: Desk, redis_url: str) -> None:
    holds = Holds(redis_url, timeout_ms=60)
    await holds.start()
    granted = await send(holds, desk)
    desk.open_shard(state="closed")
    with pytest.raises(ShardClosed):
        await holds.release(granted)
    async with asyncio.timeout(2):
        await holds.close()
    assert holds._upkeep.queued == 1


async def test_dispatched_holds_are_renewed_by_one_timer(desk: Desk, redis_url: str) -> None:
    desk.budget("bud_a", 500_000)
    holds = Holds(redis_url, renew_every_ms=30, lease_ms=90_000)
    await holds.start()
    granted = [await send(holds, desk, rates=(RateLimit("lim_a", in_flight_max=999),)) for _ in range(103)]
    reserved = await grant(holds, desk)
    for one in granted:
        desk.redis.hset(ACME.hold(one.hold_id), "deadline", 1)
    await until(lambda: all(desk.hold(holds._open[one.hold_id].ref)["deadline"] != "1" for one in granted))
    assert all(holds._open[one.hold_id].deadline_ms > reserved.deadline_ms for one in granted)
    assert desk.hold(holds._open[reserved.hold_id].ref)["deadline"] == str(reserved.deadline_ms)
    await holds.close()


async def test_renewing_survives_a_closed_shard_and_forgets_what_is_over(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    left = await send(holds, desk)
    await holds.leave_unresolved(left, body=b"{}")
    lapsed = await grant(holds, desk)
    desk.open_shard(state="closed")
    await holds._upkeep.renew()
    assert len(holds._open) == 3
    desk.open_shard()
    holds._open[left.hold_id].given_up_s = -1_000_000.0
    holds._open[lapsed.hold_id].since_s = -1_000_000.0
    await holds._upkeep.renew()
    assert list(holds._open) == [granted.hold_id]


async def test_a_renewal_that_fails_otherwise_is_told(holds: Holds, desk: Desk) -> None:
    await send(holds, desk)

    async def broken(call: Any) -> Any:
        raise ValueError("a bug")

    holds._shards.run = broken  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="a bug"):
        await holds._upkeep.renew()


async def test_both_background_tasks_survive_a_bug(desk: Desk, redis_url: str, caplog: Any) -> None:
    holds = Holds(redis_url, timeout_ms=500, renew_every_ms=20)
    await holds.start()
    granted = await send(holds, desk)
    whole = holds._shards.run
    bugs = 0

    async def broken(call: Any) -> Any:
        nonlocal bugs
        bugs += 1
        raise ValueError("a bug")

    holds._shards.run = broken  # type: ignore[method-assign]
    holds._upkeep.queue(Ending(holds._open[granted.hold_id]))
    await until(lambda: "stays queued" in caplog.text and bugs >= 3)
    holds._shards.run = whole  # type: ignore[method-assign]
    await until(lambda: holds._upkeep.queued == 0)
    assert desk.held("bud_a") == 0
    assert "renew timer failed" in caplog.text
    await holds.close()


async def test_an_end_that_was_queued_anew_meanwhile_stays_queued(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    ending = Ending(holds._open[granted.hold_id])
    holds._upkeep.queue(Ending(ending.hold))
    await holds._upkeep._try(ending)
    assert holds._upkeep.queued == 1


async def test_the_lag_is_the_age_of_the_oldest_end_that_is_no_row_yet(
    holds: Holds, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert holds.recorder_lag_s == 0.0
    loop = asyncio.get_running_loop()
    begun_s, offset_s, clock = loop.time(), [0.0], loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + offset_s[0])
    first, second, third = [await send(holds, desk) for _ in range(3)]
    await holds.settle(first, settlement(300))
    offset_s[0] = 100.0
    await holds.settle(second, settlement(300))
    assert 100.0 <= holds.recorder_lag_s <= 100.0 + clock() - begun_s
    desk.redis.hset(shard_key(ACME.shard), "recorded", int(desk.events()[-1]["seq"]))
    await holds._shards.read_recorded(ACME.shard)
    assert holds.recorder_lag_s == 0.0
    # what cannot be sent is no row either
    desk.open_shard(state="closed")
    with pytest.raises(ShardClosed):
        await holds.settle(third, settlement(300))
    offset_s[0] = 130.0
    assert 30.0 <= holds.recorder_lag_s <= 30.0 + clock() - begun_s
    desk.open_shard()
