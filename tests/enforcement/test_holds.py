"""The proxy's client on a real Valkey: grants and ends, and replies that get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis

from enforcement.decisions import (
    AlreadyEnded,
    Ended,
    Granted,
    Overloaded,
    Refused,
    Replayed,
    Unknown,
)
from enforcement.errors import EnforcementUnavailable
from enforcement.holds import Holds
from enforcement.keys import dead_letters_key
from tests.enforcement.desk import ACME, EPOCH, Desk, draw
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


async def test_a_call_goes_from_grant_to_settlement(holds: Holds, desk: Desk) -> None:
    granted = await grant(holds, desk)
    assert holds.open_holds == 1
    assert await holds.dispatched(granted)
    outcome = await holds.settle(granted, settlement(300))
    assert outcome == Ended(corrected=False, remaining_nanousd=49_700)
    assert (holds.open_holds, holds.unrecorded) == (0, 1)
    assert desk.spent("bud_a") == 300
    assert await holds.settle(granted, settlement(300)) == AlreadyEnded("ended")
    assert not await holds.dispatched(granted)


async def test_a_refusal_leaves_nothing_behind(holds: Holds, desk: Desk) -> None:
    desk.budget("bud_a", 5)
    outcome = await holds.reserve(desk.reservation(draw("bud_a")))
    assert isinstance(outcome, Refused)
    assert holds.open_holds == 0


async def test_a_release_before_dispatch_is_no_row_to_be(holds: Holds, desk: Desk) -> None:
    assert await holds.release(await grant(holds, desk)) == Ended(corrected=False, remaining_nanousd=50_000)
    assert (holds.open_holds, holds.unrecorded) == (0, 0)


async def test_a_hold_that_lapsed_before_dispatch_may_not_be_sent(holds: Holds, desk: Desk) -> None:
    reservation = desk.reservation(draw("bud_a"))
    granted = await holds.reserve(reservation)
    assert isinstance(granted, Granted)
    hold = holds._open[granted.hold_id]
    desk.lapse(hold.ref)
    assert desk.expire(hold.ref) == ["released"]
    assert not await holds.dispatched(granted)
    assert holds.open_holds == 0


async def test_a_hold_left_unresolved_may_still_be_settled(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    assert await holds.leave_unresolved(granted, body=b'{"end":"timeout"}') == Ended(corrected=False)
    assert (holds.open_holds, holds.unrecorded, desk.spent("bud_a")) == (0, 1, 1_000)
    assert await holds.settle(granted, settlement(300)) == Ended(corrected=True, remaining_nanousd=49_700)
    assert [event["kind"] for event in desk.events()] == ["expired", "correction"]
    assert holds.unrecorded == 2


async def test_leaving_a_hold_that_nobody_knows_is_unknown(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    desk.redis.delete(ACME.hold(granted.hold_id))
    assert await holds.leave_unresolved(granted, body=b"{}") == Unknown(granted.hold_id)
    assert holds.open_holds == 0


async def test_leaving_a_hold_that_ended_elsewhere_says_how(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    desk.release(holds._open[granted.hold_id].ref)
    assert await holds.leave_unresolved(granted, body=b"{}") == AlreadyEnded("released")


async def test_leaving_a_hold_whose_records_are_others_is_queued(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    desk.redis.hset(ACME.hold(granted.hold_id), "draws", "bud_other:total:0:charge")
    with pytest.raises(EnforcementUnavailable):
        await holds.leave_unresolved(granted, body=b"{}")
    with pytest.raises(EnforcementUnavailable):
        await holds.settle(granted, settlement(1))
    assert holds.unrecorded == 1
    desk.redis.hset(ACME.hold(granted.hold_id), "draws", "bud_a:total:0:charge")
    await until(lambda: holds._upkeep.queued == 0)
    assert desk.spent("bud_a") == 1


async def test_a_lost_reply_of_a_reserve_is_asked_for_again(holds: Holds, desk: Desk) -> None:
    await grant(holds, desk)
    lose_replies(holds, 1)
    reservation = desk.reservation(draw("bud_a"))
    outcome = await holds.reserve(reservation)
    assert isinstance(outcome, Granted)
    assert desk.held("bud_a") == 2_000
    assert await holds.dispatched(outcome)
    replayed = await holds.reserve(reservation)
    assert isinstance(replayed, Replayed)
    assert (replayed.state, replayed.same_attempt) == ("dispatched", True)


async def test_a_claim_nobody_heard_of_is_given_back(holds: Holds, desk: Desk) -> None:
    await grant(holds, desk)
    lose_replies(holds, 2)
    with pytest.raises(EnforcementUnavailable):
        await holds.reserve(desk.reservation(draw("bud_a")))
    assert desk.held("bud_a") == 2_000
    await until(lambda: desk.held("bud_a") == 1_000)
    assert holds.open_holds == 1


async def test_a_reserve_that_is_cancelled_gives_its_claim_back(holds: Holds, desk: Desk) -> None:
    await grant(holds, desk)
    task = asyncio.create_task(holds.reserve(desk.reservation(draw("bud_a"))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: holds._upkeep.queued == 0)
    assert desk.held("bud_a") == 1_000
    assert desk.events(dead_letters_key(ACME.shard)) == []


async def test_a_lost_reply_of_a_dispatch_is_asked_for_again(holds: Holds, desk: Desk) -> None:
    granted = await grant(holds, desk)
    lose_replies(holds, 1)
    assert await holds.dispatched(granted)


async def test_a_lost_reply_of_a_settle_is_booked_once_and_remembered(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    lose_replies(holds, 1)
    with pytest.raises(EnforcementUnavailable):
        await holds.settle(granted, settlement(300))
    await until(lambda: holds._upkeep.queued == 0)
    assert desk.spent("bud_a") == 300
    assert len(desk.events()) == 1
    assert (holds.open_holds, holds.unrecorded) == (0, 1)


async def test_a_lost_reply_of_a_correction_is_remembered_as_one(holds: Holds, desk: Desk) -> None:
    granted = await send(holds, desk)
    await holds.leave_unresolved(granted, body=b"{}")
    lose_replies(holds, 1)
    with pytest.raises(EnforcementUnavailable):
        await holds.settle(granted, settlement(300))
    await until(lambda: holds._upkeep.queued == 0)
    memory = holds._shards._memories[ACME.shard]
    claim = memory.unrecorded[-1].claim
    assert (claim.kind, claim.number, claim.cost_nanousd, claim.corrects) == (
        "correction",
        0,
        -700,
        f"{granted.hold_id}.expired.0",
    )


async def test_memory_above_the_mark_is_overloaded(holds: Holds, desk: Desk) -> None:
    desk.redis.config_set("maxmemory", 1)
    try:
        assert await holds.reserve(desk.reservation(draw("bud_a"))) == Overloaded("memory")
    finally:
        desk.redis.config_set("maxmemory", 0)


async def test_policies_are_read_with_their_versions(holds: Holds, desk: Desk) -> None:
    key, tenant, older = ACME.key_policy("d1"), ACME.tenant_policy(), ACME.customer_policy("cus_1")
    desk.policy(key, 3)
    desk.policy(older, 4)
    desk.redis.hset(older, "epoch", EPOCH - 1)
    assert await holds.read_policies((key, tenant, older)) == ((3, b"{}"), None, None)


async def test_policies_are_not_read_from_a_redis_that_is_away(holds: Holds, desk: Desk) -> None:
    desk.redis.set(ACME.tenant_policy(), "no hash")
    with pytest.raises(EnforcementUnavailable):
        await holds.read_policies((ACME.tenant_policy(),))


async def test_a_hold_is_abandoned_by_how_far_it_had_come(holds: Holds, desk: Desk) -> None:
    assert isinstance(await holds.abandon(await grant(holds, desk), body=b"{}"), Ended)
    assert desk.events() == []
    sent = await send(holds, desk)
    assert isinstance(await holds.abandon(sent, body=b"{}"), Ended)
    assert [event["basis"] for event in desk.events()] == ["unresolved"]
    assert await holds.abandon(sent, body=b"{}") == AlreadyEnded("ended")
    assert (holds.open_holds, desk.spent("bud_a"), desk.held("bud_a")) == (0, 1000, 0)


async def test_an_end_that_waits_to_be_sent_is_not_given_up(holds: Holds, desk: Desk) -> None:
    sent = await send(holds, desk)
    lose_replies(holds, 1)
    with pytest.raises(EnforcementUnavailable):
        await holds.settle(sent, settlement(300))
    assert await holds.abandon(sent, body=b"{}") == AlreadyEnded("ended")
    await until(lambda: holds.open_holds == 0)
    assert desk.spent("bud_a") == 300
