"""A hold past its deadline expires, and its late end corrects what was booked."""

from __future__ import annotations

import pytest
import redis

from enforcement.calls import BookedDraw
from enforcement.decisions import (
    AlreadyDone,
    AlreadyEnded,
    Ended,
    Idempotency,
    Settlement,
)
from enforcement.hold_calls import HoldRef, release_call, settle_call
from enforcement.keys import dead_letters_key, shard_key
from enforcement.policies import RateLimit
from tests.enforcement.desk import ACME, Desk, amounts, draw

FIFTEEN_MINUTES = 15 * 60 * 1000
TWO_DAYS = 48 * 3600 * 1000


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 5_000)
    desk.budget("bud_b", 5_000)
    return desk


def ttl(desk: Desk, ref: HoldRef) -> int:
    return int(desk.redis.pttl(ACME.hold(ref.hold_id)))


def test_a_lapsed_reserve_expires_at_nothing(desk: Desk) -> None:
    rates = (RateLimit("lim_a", in_flight_max=5),)
    mine = Idempotency("digest", "body-1")
    ref, _ = desk.granted(draw("bud_a"), rates=rates, idempotency=mine)
    assert desk.expire(ref) == ["early"]
    desk.lapse(ref)
    assert desk.expire(ref) == ["released"]
    assert desk.events() == []
    assert (desk.held("bud_a"), desk.spent("bud_a")) == (0, 0)
    assert desk.hold(ref)["state"] == "released"
    assert FIFTEEN_MINUTES - 60_000 < ttl(desk, ref) <= FIFTEEN_MINUTES
    assert not desk.redis.exists(ACME.in_flight("lim_a"), ACME.idempotency("digest"))
    assert desk.open_keys() == []


def test_a_lapsed_dispatch_expires_at_its_quote_unresolved(desk: Desk) -> None:
    rates = (RateLimit("lim_a", in_flight_max=5),)
    mine = Idempotency("digest", "body-1")
    ref, _ = desk.sent(
        draw("bud_a"),
        draw("bud_b", measure="cost"),
        charge=amounts(200, 20, 90, 10),
        rates=rates,
        idempotency=mine,
    )
    desk.lapse(ref)
    assert desk.expire(ref) == ["expired"]
    (event,) = desk.events()
    assert (event["kind"], event["basis"], event["event_id"]) == (
        "expired",
        "unresolved",
        f"{ref.hold_id}.expired.0",
    )
    assert (event["cost"], event["charge"], event["body"]) == ("1000", "2000", '{"body":1}')
    assert (event["tenant_id"], event["mode"]) == (ACME.tenant_id, "test")
    assert (desk.held("bud_a"), desk.spent("bud_a")) == (0, 2_000)
    assert (desk.held("bud_b"), desk.spent("bud_b")) == (0, 1_000)
    hold = desk.hold(ref)
    assert (hold["state"], hold["end_cost"], hold["end_charge"]) == ("expired", "1000", "2000")
    assert TWO_DAYS - 60_000 < ttl(desk, ref) <= TWO_DAYS
    assert desk.expire(ref) == ["expired_before"]
    assert not desk.redis.exists(ACME.in_flight("lim_a"))
    outcome = desk.reserve(desk.reservation(draw("bud_a"), idempotency=mine, request_id="req_2"))
    assert outcome == AlreadyDone("req_1", 1_000)


def test_many_holds_expire_in_one_call_each_with_its_own_position(desk: Desk) -> None:
    desk.budget("bud_a", 500_000)
    refs = [desk.sent(draw("bud_a"), draw("bud_b"), least=1, per_token=0)[0] for _ in range(3)]
    reserved, _ = desk.granted(draw("bud_a"), rates=(RateLimit("lim_a", in_flight_max=5),))
    early, _ = desk.sent(draw("bud_a"))
    absent = HoldRef(ACME, desk.hold_id(), (BookedDraw("bud_a", "total:0", "charge"),))
    for ref in (*refs, reserved):
        desk.lapse(ref)
    outcomes = desk.expire(refs[0], absent, reserved, refs[1], early, refs[2])
    assert outcomes == ["expired", "absent", "released", "expired", "early", "expired"]
    positions = [int(event["seq"]) for event in desk.events()]
    assert len(set(positions)) == 3
    assert desk.redis.hget(shard_key(ACME.shard), "last_event_seq") == str(max(positions)).encode()
    assert desk.held("bud_a") == 1_000
    assert desk.spent("bud_a") == desk.spent("bud_b") == desk.event_sum("bud_a") == 3


def test_a_proxy_may_leave_its_own_hold_unresolved_at_once(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    assert desk.expire(ref, is_forced=True, body=b'{"end":"timeout"}') == ["expired"]
    (event,) = desk.events()
    assert (event["kind"], event["charge"], event["body"]) == ("expired", "1000", '{"end":"timeout"}')
    unmarked, _ = desk.granted(draw("bud_a"))
    assert desk.expire(unmarked, is_forced=True) == ["expired"]
    assert desk.spent("bud_a") == desk.event_sum("bud_a") == 2_000


def test_a_late_settle_corrects_the_expiry_by_the_difference(desk: Desk) -> None:
    mine = Idempotency("digest", "body-1")
    ref, _ = desk.sent(draw("bud_a"), idempotency=mine)
    desk.lapse(ref)
    desk.expire(ref)
    assert desk.settle(ref, 300) == Ended(corrected=True, remaining_nanousd=4_700)
    event = desk.events()[1]
    assert (event["kind"], event["event_id"]) == ("correction", f"{ref.hold_id}.correction.0")
    assert event["corrects"] == f"{ref.hold_id}.expired.0"
    assert (event["cost"], event["charge"], event["basis"]) == ("-700", "-700", "reported")
    assert (desk.held("bud_a"), desk.spent("bud_a")) == (0, 300)
    hold = desk.hold(ref)
    assert (hold["state"], hold["end_cost"], hold["corrections"]) == ("settled", "300", "1")
    assert desk.settle(ref, 400) == AlreadyEnded("settled")
    assert desk.event_sum("bud_a") == 300
    outcome = desk.reserve(desk.reservation(draw("bud_a"), idempotency=mine, request_id="req_2"))
    assert outcome == AlreadyDone("req_1", 300)


def test_cost_and_charge_are_never_mixed_up(desk: Desk) -> None:
    twice = amounts(200, 20, 90, 10)
    settlement = Settlement(cost_nanousd=300, charge_nanousd=650, basis="estimated", body=b"{}")
    mine = Idempotency("digest", "body-1")
    draws = (draw("bud_a"), draw("bud_b", measure="cost"))
    in_time, _ = desk.sent(*draws, charge=twice)
    assert desk.run(settle_call(in_time, settlement)).rest == [4_350, b"settled", 300, 650, 0]
    assert desk.run(settle_call(in_time, settlement)).rest == [b"settled", 0, 300, 650]
    assert desk.run(release_call(in_time)).rest == [b"settled", 0, 300, 650]
    late, _ = desk.sent(*draws, charge=twice, idempotency=mine)
    desk.expire(late, is_forced=True)
    assert desk.run(settle_call(late, settlement)).rest == [3_700, b"correction", -700, -1_350, 0]
    assert desk.run(release_call(late)).rest == [b"settled", 1, 300, 650]
    outcome = desk.reserve(desk.reservation(*draws, idempotency=mine, request_id="req_2"))
    assert outcome == AlreadyDone("req_1", 300)
    given_back, _ = desk.sent(*draws, charge=twice)
    desk.expire(given_back, is_forced=True)
    assert desk.run(release_call(given_back)).rest == [3_700, b"correction", -1_000, -2_000, 0]
    assert (desk.spent("bud_a"), desk.spent("bud_b")) == (1_300, 600)
    assert (desk.event_sum("bud_a"), desk.event_sum("bud_b")) == (1_300, 600)
    nobody = HoldRef(ACME, desk.hold_id(), in_time.draws)
    assert desk.run(settle_call(nobody, settlement)).status == "unknown"
    (letter,) = desk.events(dead_letters_key(ACME.shard))
    assert (letter["cost"], letter["charge"], letter["basis"]) == ("300", "650", "estimated")


def test_a_late_release_takes_the_expiry_back(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.lapse(ref)
    desk.expire(ref)
    assert desk.release(ref) == Ended(corrected=True, remaining_nanousd=5_000)
    event = desk.events()[1]
    assert (event["kind"], event["charge"], event["basis"]) == ("correction", "-1000", "none")
    assert event["corrects"] == f"{ref.hold_id}.expired.0"
    assert desk.spent("bud_a") == desk.event_sum("bud_a") == 0
    assert desk.hold(ref)["corrections"] == "1"
    assert desk.release(ref) == AlreadyEnded("released")


def test_a_correction_after_a_persons_is_numbered_on(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.expire(ref, is_forced=True)
    desk.redis.hset(ACME.hold(ref.hold_id), mapping={"corrections": 1, "end_cost": 600, "end_charge": 600})
    desk.settle(ref, 500)
    event = desk.events()[1]
    assert (event["event_id"], event["charge"]) == (f"{ref.hold_id}.correction.1", "-100")
