"""The proxy's client on a real Valkey: grants, ends, outages, upkeep, and a shard in a new epoch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis

from enforcement.decisions import (
    AlreadyEnded,
    Ended,
    Granted,
    Idempotency,
    Overloaded,
    Refused,
    Replayed,
    Settlement,
    Unknown,
)
from enforcement.errors import EnforcementUnavailable, OutcomeUnknown, ShardClosed
from enforcement.holds import Holds
from enforcement.keys import dead_letters_key, shard_key
from enforcement.open_holds import Ending
from enforcement.policies import RateLimit
from tests.enforcement.desk import ACME, EPOCH, Desk, draw


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


def settlement(cost: int) -> Settlement:
    return Settlement(cost_nanousd=cost, charge_nanousd=cost, basis="reported", body=b'{"end":1}')


async def grant(holds: Holds, desk: Desk, **options: Any) -> Granted:
    outcome = await holds.reserve(desk.reservation(draw("bud_a"), **options))
    assert isinstance(outcome, Granted), outcome
    return outcome


async def send(holds: Holds, desk: Desk, **options: Any) -> Granted:
    granted = await grant(holds, desk, **options)
    assert await holds.dispatched(granted)
    return granted


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def lose_replies(holds: Holds, times: int) -> None:
    """Let the next calls take effect and lose their replies."""
    links = holds._shards.links
    whole = links.run

    async def run(call: Any, epoch: int) -> Any:
        nonlocal times
        reply = await whole(call, epoch)
        if times:
            times -= 1
            raise OutcomeUnknown("lost on the way back")
        return reply

    links.run = run  # type: ignore[method-assign]


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
