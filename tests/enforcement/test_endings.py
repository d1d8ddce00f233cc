"""The life of a hold after its grant: dispatched, renewed, settled, released."""

from __future__ import annotations

import pytest
import redis

from enforcement.calls import BookedDraw
from enforcement.decisions import (
    AlreadyDone,
    AlreadyEnded,
    Ended,
    Idempotency,
    InProgress,
    Unknown,
)
from enforcement.errors import ShardClosed
from enforcement.hold_calls import HoldRef
from enforcement.keys import dead_letters_key, deadlines_key, shard_key
from enforcement.policies import RateLimit
from metering.windows import Window
from tests.enforcement.desk import ACME, EPOCH, Desk, amounts, draw

FIFTEEN_MINUTES = 15 * 60 * 1000


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 5_000)
    desk.budget("bud_b", 5_000)
    return desk


def ttl(desk: Desk, ref: HoldRef) -> int:
    return int(desk.redis.pttl(ACME.hold(ref.hold_id)))


def test_dispatching_pushes_the_deadline_back(desk: Desk) -> None:
    rates = (RateLimit("lim_a", in_flight_max=5),)
    ref, granted = desk.granted(draw("bud_a"), rates=rates)
    reply = desk.dispatched(ref, lease_ms=30_000)
    assert reply.status == "dispatched"
    deadline_ms = reply.rest[0]
    assert deadline_ms >= granted.deadline_ms + 19_000
    assert desk.hold(ref)["state"] == "dispatched"
    assert desk.hold(ref)["deadline"] == str(deadline_ms)
    assert desk.redis.zscore(deadlines_key(ACME.shard), ACME.hold(ref.hold_id)) == deadline_ms
    assert desk.redis.zscore(ACME.in_flight("lim_a"), ref.hold_id) == deadline_ms
    assert desk.dispatched(ref).status == "dispatched"  # repeated by the same attempt


def test_only_the_attempt_that_reserved_may_dispatch(desk: Desk) -> None:
    ref, _ = desk.granted(draw("bud_a"))
    assert desk.dispatched(ref, attempt="attempt-2").status == "gone"
    assert desk.hold(ref)["state"] == "reserved"


def test_an_ended_or_older_or_absent_hold_may_not_be_dispatched(desk: Desk) -> None:
    ref, _ = desk.granted(draw("bud_a"))
    desk.redis.hset(ACME.hold(ref.hold_id), "epoch", EPOCH - 1)
    assert desk.dispatched(ref).status == "gone"
    desk.redis.hset(ACME.hold(ref.hold_id), "epoch", EPOCH)
    desk.release(ref)
    assert desk.dispatched(ref).text(0) == "released"
    assert desk.dispatched(HoldRef(ACME, desk.hold_id(), ())).text(0) == "absent"


def test_dispatching_renewing_and_ending_work_while_proxies_are_adopting(desk: Desk) -> None:
    first, _ = desk.granted(draw("bud_a"))
    second, _ = desk.granted(draw("bud_a"))
    desk.open_shard(state="adopting")
    assert desk.dispatched(first).status == "dispatched"
    assert desk.renew(first) == ["renewed"]
    assert isinstance(desk.settle(first, 5), Ended)
    assert isinstance(desk.release(second), Ended)
    desk.open_shard(state="closed")
    for act in (
        lambda: desk.dispatched(first),
        lambda: desk.renew(first),
        lambda: desk.settle(first, 5),
        lambda: desk.release(first),
        lambda: desk.expire(first),
    ):
        with pytest.raises(ShardClosed):
            act()


def test_renewing_moves_only_dispatched_holds_of_this_epoch(desk: Desk) -> None:
    rates = (RateLimit("lim_a", in_flight_max=5), RateLimit("lim_b", in_flight_max=5))
    sent, _ = desk.sent(draw("bud_a"), rates=rates)
    reserved, _ = desk.granted(draw("bud_a"))
    older, _ = desk.sent(draw("bud_a"))
    desk.redis.hset(ACME.hold(older.hold_id), "epoch", EPOCH - 1)
    settled, _ = desk.sent(draw("bud_a"))
    desk.settle(settled, 1)
    absent = HoldRef(ACME, desk.hold_id(), ())
    before = desk.hold(reserved)
    purged, _ = desk.sent(draw("bud_a"), rates=rates)
    desk.redis.zrem(ACME.in_flight("lim_b"), purged.hold_id)
    outcomes = desk.renew(older, reserved, sent, settled, absent, purged, lease_ms=90_000)
    assert outcomes == ["older", "reserved", "renewed", "settled", "absent", "renewed"]
    assert desk.redis.zscore(ACME.in_flight("lim_b"), purged.hold_id) is None
    deadline_ms = int(desk.hold(sent)["deadline"])
    assert deadline_ms > desk.now_ms() + 80_000
    assert desk.redis.zscore(deadlines_key(ACME.shard), ACME.hold(sent.hold_id)) == deadline_ms
    for limit_id in ("lim_a", "lim_b"):
        assert desk.redis.zscore(ACME.in_flight(limit_id), sent.hold_id) == deadline_ms
    assert desk.hold(reserved) == before
    assert ACME.hold(settled.hold_id) not in desk.open_keys()
    assert desk.redis.zcard(ACME.in_flight("lim_a")) == 2


def test_settling_replaces_the_claim_by_the_cost_and_appends_the_event(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"), draw("bud_b", measure="cost"), charge=amounts(200, 20, 90, 10))
    outcome = desk.settle(ref, 300, 600)
    assert outcome == Ended(corrected=False, remaining_nanousd=4_400)
    assert (desk.held("bud_a"), desk.spent("bud_a")) == (0, 600)
    assert (desk.held("bud_b"), desk.spent("bud_b")) == (0, 300)
    (event,) = desk.events()
    seq = int(desk.redis.hget(shard_key(ACME.shard), "seq"))
    assert 0 <= desk.now_ms() - int(event.pop("at_ms")) < 5_000
    assert event == {
        "v": "1",
        "event_id": f"{ref.hold_id}.settled.0",
        "kind": "settled",
        "basis": "reported",
        "hold_id": ref.hold_id,
        "tenant_id": ACME.tenant_id,
        "mode": "test",
        "cost": "300",
        "charge": "600",
        "epoch": str(EPOCH),
        "seq": str(seq),
        "corrects": "",
        "draws": "bud_a:total:0:charge,bud_b:total:0:cost",
        "body": '{"end":1}',
    }
    assert desk.redis.hget(shard_key(ACME.shard), "last_event_seq") == str(seq).encode()
    hold = desk.hold(ref)
    assert (hold["state"], hold["end_cost"], hold["end_charge"], hold["corrections"]) == (
        "settled",
        "300",
        "600",
        "0",
    )
    assert "body" not in hold
    assert FIFTEEN_MINUTES - 60_000 < ttl(desk, ref) <= FIFTEEN_MINUTES
    assert desk.open_keys() == []


def test_an_end_tells_what_is_left_on_the_tightest_budget(desk: Desk) -> None:
    desk.budget("bud_b", 4_000, **{"s:total:0": 700})
    other, _ = desk.granted(draw("bud_a"), draw("bud_b"))
    for settle_cost, left in ((0, 2_300), (50, 2_250)):
        ref, _ = desk.sent(draw("bud_b"), draw("bud_a"))
        assert desk.settle(ref, settle_cost) == Ended(corrected=False, remaining_nanousd=left)
    late, _ = desk.sent(draw("bud_a"), draw("bud_b"))
    desk.expire(late, is_forced=True)
    assert desk.settle(late, 50) == Ended(corrected=True, remaining_nanousd=2_200)
    assert desk.release(other) == Ended(corrected=False, remaining_nanousd=3_200)


def test_a_hold_ends_once(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.settle(ref, 300)
    assert desk.settle(ref, 400) == AlreadyEnded("settled")
    assert desk.release(ref) == AlreadyEnded("settled")
    assert desk.expire(ref) == ["settled"]
    other, _ = desk.sent(draw("bud_a"))
    desk.release(other)
    assert desk.settle(other, 400) == AlreadyEnded("released")
    assert desk.expire(other, is_forced=True) == ["released_before"]
    assert (desk.held("bud_a"), desk.spent("bud_a")) == (0, 300)
    assert len(desk.events()) == 2


def test_settling_is_never_refused_for_want_of_money(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    outcome = desk.settle(ref, 7_000)
    assert outcome == Ended(corrected=False, remaining_nanousd=-2_000)
    assert desk.spent("bud_a") == 7_000


def test_a_hold_may_be_settled_though_its_dispatch_was_not_marked(desk: Desk) -> None:
    ref, _ = desk.granted(draw("bud_a"))
    assert isinstance(desk.settle(ref, 300), Ended)
    assert desk.event_sum("bud_a") == desk.spent("bud_a") == 300


def test_sums_of_fifteen_digits_are_settled_to_the_nano_dollar(desk: Desk) -> None:
    large = 8_999_999_999_999_999
    desk.budget("bud_a", 9_000_000_000_000_000, **{"s:total:0": 0})
    ref, _ = desk.sent(draw("bud_a"), least=large, per_token=0)
    desk.settle(ref, large)
    assert desk.spent("bud_a") == large
    assert desk.events()[0]["charge"] == str(large)


def test_releasing_before_dispatch_leaves_no_row(desk: Desk) -> None:
    ref, _ = desk.granted(draw("bud_a"))
    assert desk.release(ref, body=b'{"late":1}') == Ended(corrected=False, remaining_nanousd=5_000)
    assert desk.events() == []
    assert desk.held("bud_a") == 0
    assert desk.hold(ref)["state"] == "released"
    assert FIFTEEN_MINUTES - 60_000 < ttl(desk, ref) <= FIFTEEN_MINUTES
    assert not desk.redis.hexists(shard_key(ACME.shard), "last_event_seq")


@pytest.mark.parametrize(("given", "written"), [(b'{"end":2}', '{"end":2}'), (b"", '{"body":1}')])
def test_releasing_after_dispatch_leaves_a_row_of_zero(desk: Desk, given: bytes, written: str) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.release(ref, body=given)
    (event,) = desk.events()
    assert (event["kind"], event["basis"], event["cost"], event["charge"]) == ("released", "none", "0", "0")
    assert event["event_id"] == f"{ref.hold_id}.released.0"
    assert event["body"] == written
    assert desk.redis.hget(shard_key(ACME.shard), "last_event_seq") == event["seq"].encode()
    assert (desk.held("bud_a"), desk.spent("bud_a")) == (0, 0)


def test_an_end_without_a_record_changes_nothing_and_goes_to_the_dead_letters(desk: Desk) -> None:
    ref = HoldRef(ACME, desk.hold_id(), (BookedDraw("bud_a", "total:0", "charge"),))
    assert desk.settle(ref, 300) == Unknown(ref.hold_id)
    assert desk.release(ref, body=b"{}") == Unknown(ref.hold_id)
    assert desk.events() == []
    settled, released = desk.events(dead_letters_key(ACME.shard))
    assert (settled["event_id"], settled["charge"], settled["body"]) == (
        f"{ref.hold_id}.settled.0",
        "300",
        '{"end":1}',
    )
    assert (settled["tenant_id"], settled["mode"]) == (ACME.tenant_id, "test")
    assert settled["draws"] == "bud_a:total:0:charge"
    assert released["event_id"] == f"{ref.hold_id}.released.0"
    assert desk.spent("bud_a") == 0
    assert not desk.redis.exists(ACME.hold(ref.hold_id))


def test_giving_back_a_reserve_that_may_never_have_arrived_is_silent(desk: Desk) -> None:
    ref = HoldRef(ACME, desk.hold_id(), (BookedDraw("bud_a", "total:0", "charge"),))
    assert desk.release(ref, is_certain=False) == Unknown(ref.hold_id)
    assert desk.events(dead_letters_key(ACME.shard)) == []


def test_an_end_that_names_other_budgets_changes_nothing(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    for wrong in (
        HoldRef(ACME, ref.hold_id, (BookedDraw("bud_b", "total:0", "charge"),)),
        HoldRef(ACME, ref.hold_id, ()),
    ):
        with pytest.raises(redis.ResponseError, match=r"HOLDKEYS .* are not"):
            desk.settle(wrong, 1)
        with pytest.raises(redis.ResponseError, match=r"HOLDKEYS .* are not"):
            desk.release(wrong)
        assert desk.expire(wrong, is_forced=True) == ["mismatch"]
    assert desk.hold(ref)["state"] == "dispatched"
    assert desk.held("bud_a") == 1_000


def test_a_budget_that_is_not_of_this_epoch_is_left_to_the_ledger(desk: Desk) -> None:
    first, _ = desk.sent(draw("bud_a"), draw("bud_b"))
    second, _ = desk.sent(draw("bud_a"))
    third, _ = desk.sent(draw("bud_a"))
    desk.redis.hset(ACME.budget("bud_a"), "epoch", EPOCH - 1)
    before = desk.record("bud_a")
    assert desk.settle(first, 300) == Ended(corrected=False, remaining_nanousd=4_700)
    desk.release(second)
    desk.expire(third, is_forced=True)
    assert desk.record("bud_a") == before
    assert [event["kind"] for event in desk.events()] == ["settled", "released", "expired"]
    assert (desk.held("bud_b"), desk.spent("bud_b")) == (0, 300)


def test_a_hold_of_an_older_epoch_moves_spent_but_not_held(desk: Desk) -> None:
    first, _ = desk.sent(draw("bud_a"))
    second, _ = desk.sent(draw("bud_a"))
    for ref in (first, second):
        desk.redis.hset(ACME.hold(ref.hold_id), "epoch", EPOCH - 1)
    desk.settle(first, 300)
    desk.expire(second, is_forced=True)
    assert (desk.held("bud_a"), desk.spent("bud_a")) == (2_000, 1_300)


def test_a_correction_of_a_window_that_was_dropped_leaves_the_record_alone(desk: Desk) -> None:
    now = desk.now_ms()
    gone = Window("d1", now - 1_000, now + 60_000)
    ref, _ = desk.sent(draw("bud_a", window=gone))
    desk.expire(ref, is_forced=True)
    desk.redis.hdel(ACME.budget("bud_a"), "s:d1", "h:d1", "b:d1", "e:d1")
    assert desk.settle(ref, 300) == Ended(corrected=True, remaining_nanousd=0)
    assert "s:d1" not in desk.record("bud_a")
    assert len(desk.events()) == 2


def test_a_budget_that_is_being_loaded_counts_what_ends_meanwhile(desk: Desk) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.redis.delete(ACME.budget("bud_a"))
    desk.redis.hset(ACME.budget("bud_a"), mapping={"epoch": EPOCH, "opening": 5})
    assert desk.settle(ref, 300) == Ended(corrected=False, remaining_nanousd=0)
    assert desk.spent("bud_a") == 300


def test_an_idempotency_record_that_has_lapsed_is_not_made_again(desk: Desk) -> None:
    mine = Idempotency("digest", "body-1")
    ref, _ = desk.sent(draw("bud_a"), idempotency=mine)
    desk.redis.delete(ACME.idempotency("digest"))
    desk.settle(ref, 300)
    assert not desk.redis.exists(ACME.idempotency("digest"))


def test_a_hold_in_flight_keeps_its_idempotency_key_busy_with_every_limit_it_stands_in(desk: Desk) -> None:
    rates = (
        RateLimit("lim_a", in_flight_max=5),
        RateLimit("lim_b", requests_per_minute=600, in_flight_max=5),
    )
    mine = Idempotency("digest", "body-1")
    ref, _ = desk.sent(draw("bud_a"), draw("bud_b"), rates=rates, idempotency=mine)
    other = desk.reservation(draw("bud_a"), idempotency=mine, request_id="req_2")
    assert desk.reserve(other) == InProgress("req_1")
    desk.settle(ref, 1)
    assert not desk.redis.exists(ACME.in_flight("lim_a"), ACME.in_flight("lim_b"))
    assert desk.reserve(other) == AlreadyDone("req_1", 1)


def test_what_is_open_can_be_ended_when_memory_is_full_but_nothing_begins(desk: Desk) -> None:
    refs = [desk.sent(draw("bud_a"))[0] for _ in range(4)]
    reserved, _ = desk.granted(draw("bud_a"))
    waiting = desk.reservation(draw("bud_a"))
    desk.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):
            desk.reserve(waiting)
        assert desk.dispatched(reserved).status == "dispatched"
        assert desk.renew(refs[0]) == ["renewed"]
        assert isinstance(desk.settle(refs[1], 10), Ended)
        assert isinstance(desk.release(refs[2]), Ended)
        assert desk.expire(refs[3], is_forced=True) == ["expired"]
    finally:
        desk.redis.config_set("maxmemory", 0)
