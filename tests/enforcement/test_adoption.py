"""A proxy's holds and ends outlive the shard's epoch: each is counted once, whatever was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from msgspec.structs import replace

from enforcement.adoption import (
    Adopted,
    EndedClaim,
    OpenClaim,
    adopt_call,
    parse_adopt,
    parse_replay,
    replay_call,
)
from enforcement.calls import BookedDraw, Call, Reply
from enforcement.control import Control
from enforcement.control_calls import begin_rebuild_call, open_call
from enforcement.decisions import AlreadyEnded, Settlement
from enforcement.errors import EnforcementUnavailable, ShardClosed
from enforcement.hold_calls import HoldRef, expire_call, settle_call
from enforcement.keys import Scope, deadlines_key, shard_key, usage_key, wanted_key

ACME = Scope("ten_acme000000000000", "test")
HOLD = "01jd0000000000000000000001"
DRAWS = (BookedDraw("bud_c", "month:1", "charge"), BookedDraw("bud_t", "total:0", "cost"))
REF = HoldRef(ACME, HOLD, DRAWS, flights=("lim_1",))
CLAIM = OpenClaim(
    scope=ACME, hold_id=HOLD, state="dispatched", attempt="nonce", request_id="req_1", cost_nanousd=100,
    charge_nanousd=120, output_cap=64, draws=DRAWS, body=b"{}", in_flight_limits=("lim_1",),
)  # fmt: skip
SETTLED = EndedClaim(
    scope=ACME, hold_id=HOLD, kind="settled", number=0, basis="reported", cost_nanousd=40, charge_nanousd=50,
    draws=DRAWS, body=b"{}", in_flight_limits=("lim_1",),
)  # fmt: skip
Run = Callable[[Call], Reply]


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    control = Control(redis_url)
    control.ensure_open(ACME)
    control.load_new_budget(ACME, budget_id="bud_c", limit_nanousd=1000, version=1)
    control.load_new_budget(ACME, budget_id="bud_t", limit_nanousd=1000, version=1)
    yield control
    control.close()


@pytest.fixture
def begin(control: Control) -> Callable[[], Reply]:
    """Begin the shard's second epoch."""
    return lambda: control.client.run(begin_rebuild_call(ACME.shard, found_epoch=1, epoch=2))


@pytest.fixture
def run(control: Control) -> Run:
    return lambda call: control.client.run_in_life(call, epoch=2)


def sums(client: redis.Redis, budget_id: str, window: str) -> tuple[bytes | None, bytes | None]:
    spent, held = client.hmget(ACME.budget(budget_id), f"s:{window}", f"h:{window}")
    return spent, held


def events(client: redis.Redis) -> list[tuple[bytes, bytes]]:
    return [(fields[b"event_id"], fields[b"seq"]) for _, fields in client.xrange(usage_key(ACME.shard))]


def test_a_lost_hold_is_made_again_and_held_once(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    first = run(adopt_call(CLAIM, lease_ms=9000))
    again = run(adopt_call(CLAIM, lease_ms=9000))
    assert (first.status, again.status) == ("adopted", "known")
    assert parse_adopt(again) == Adopted(again.now_ms + 9000)
    assert sums(redis_client, "bud_c", "month:1") == (b"0", b"120")
    assert sums(redis_client, "bud_t", "total:0") == (b"0", b"100")
    record = redis_client.hgetall(ACME.hold(HOLD))
    assert (record[b"state"], record[b"epoch"], record[b"attempt"]) == (b"dispatched", b"2", b"nonce")
    assert redis_client.zscore(deadlines_key(ACME.shard), ACME.hold(HOLD)) == again.now_ms + 9000
    assert redis_client.zscore(ACME.in_flight("lim_1"), HOLD) == again.now_ms + 9000


def test_adopting_never_brings_a_sent_hold_back_to_reserved(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    run(adopt_call(CLAIM, lease_ms=9000))
    run(adopt_call(replace(CLAIM, state="reserved"), lease_ms=9000))
    assert redis_client.hget(ACME.hold(HOLD), "state") == b"dispatched"


def test_an_ended_hold_is_not_opened_again(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    redis_client.hset(ACME.hold(HOLD), mapping={"state": "expired", "epoch": 1})
    begin()
    assert parse_adopt(run(adopt_call(CLAIM, lease_ms=9000))) == AlreadyEnded("expired")
    assert redis_client.zcard(deadlines_key(ACME.shard)) == 0


def test_an_adopted_hold_settles_once(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    run(adopt_call(CLAIM, lease_ms=9000))
    settle = settle_call(REF, Settlement(cost_nanousd=40, charge_nanousd=50, basis="reported", body=b"{}"))
    assert run(settle).status == "ended"
    assert run(settle).status == "already_ended"
    assert sums(redis_client, "bud_c", "month:1") == (b"50", b"0")
    assert len(events(redis_client)) == 1
    assert redis_client.zcard(ACME.in_flight("lim_1")) == 0


def test_adopting_under_another_epoch_is_closed(control: Control, begin: Callable[[], Reply]) -> None:
    begin()
    with pytest.raises(ShardClosed):
        control.client.run_in_life(adopt_call(CLAIM, lease_ms=9000), epoch=1)


def test_a_lost_end_is_appended_again_without_moving_a_budget_that_is_not_loaded(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    reply = run(replay_call(SETTLED))
    assert parse_replay(reply)
    assert events(redis_client) == [(f"{HOLD}.settled.0".encode(), b"%d" % reply.seq)]
    assert redis_client.hget(ACME.budget("bud_c"), "s:month:1") is None
    assert redis_client.hget(ACME.hold(HOLD), "state") == b"settled"
    assert redis_client.hlen(wanted_key(ACME.shard)) == 0
    assert parse_adopt(run(adopt_call(CLAIM, lease_ms=9000))) == AlreadyEnded("settled")


def test_a_late_end_unloads_the_loaded_budgets_it_drew_on(
    control: Control, redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    control.client.run(open_call(ACME.shard, epoch=2))
    control.load_new_budget(ACME, budget_id="bud_c", limit_nanousd=700, version=1)
    assert parse_replay(run(replay_call(SETTLED)))
    assert control.read_budget(ACME, "bud_c") is None
    assert redis_client.hget(ACME.budget("bud_c"), "pending_limit") == b"700"
    assert redis_client.hkeys(wanted_key(ACME.shard)) == [f"{ACME.tenant_id}:test:bud_c".encode()]


def test_an_end_that_is_replayed_closes_its_idempotency_record_once(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    keyed, record = replace(SETTLED, idempotency_digest="d1"), ACME.idempotency("d1")
    redis_client.hset(record, mapping={"hold": HOLD, "state": "open", "body": "b"})
    for _ in range(2):
        assert parse_replay(run(replay_call(keyed)))
        assert redis_client.hmget(record, "state", "cost") == [b"done", b"40"]
    redis_client.hset(record, mapping={"hold": "another", "state": "open"})
    run(replay_call(keyed))
    assert redis_client.hget(record, "state") == b"open"
    redis_client.hset(record, "hold", HOLD)
    redis_client.delete(ACME.hold(HOLD))
    run(replay_call(replace(keyed, kind="released", basis="none", cost_nanousd=0, charge_nanousd=0)))
    assert not redis_client.exists(record)


def test_an_end_of_a_hold_that_still_stands_is_booked(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    run(adopt_call(CLAIM, lease_ms=9000))
    assert parse_replay(run(replay_call(SETTLED)))
    assert parse_replay(run(replay_call(SETTLED)))
    assert sums(redis_client, "bud_c", "month:1") == (b"50", b"0")
    assert sums(redis_client, "bud_t", "total:0") == (b"40", b"0")
    assert redis_client.zcard(deadlines_key(ACME.shard)) == 0
    assert {event_id for event_id, _ in events(redis_client)} == {f"{HOLD}.settled.0".encode()}


def test_an_end_whose_hold_expired_meanwhile_must_be_ended_again(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    run(adopt_call(CLAIM, lease_ms=9000))
    run(expire_call(ACME.shard, (REF,), is_forced=True))
    assert not parse_replay(run(replay_call(SETTLED)))
    settle = settle_call(REF, Settlement(cost_nanousd=40, charge_nanousd=50, basis="reported", body=b"{}"))
    run(settle)
    assert sums(redis_client, "bud_c", "month:1") == (b"50", b"0")


def test_a_lost_correction_is_appended_and_counted_by_its_tombstone(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    corrects = f"{HOLD}.expired.0"
    correction = replace(SETTLED, kind="correction", cost_nanousd=-60, charge_nanousd=-70, corrects=corrects)
    run(adopt_call(CLAIM, lease_ms=9000))
    run(expire_call(ACME.shard, (REF,), is_forced=True))
    for _ in range(2):
        assert parse_replay(run(replay_call(correction)))
    tombstone = redis_client.hgetall(ACME.hold(HOLD))
    assert (tombstone[b"state"], tombstone[b"corrections"], tombstone[b"end_cost"]) == (
        b"expired",
        b"1",
        b"40",
    )
    _, fields = redis_client.xrevrange(usage_key(ACME.shard), count=1)[0]
    assert fields[b"corrects"] == corrects.encode()


def test_a_lost_expiry_keeps_its_tombstone_for_two_days(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    assert parse_replay(run(replay_call(replace(SETTLED, kind="expired", basis="unresolved"))))
    assert redis_client.pttl(ACME.hold(HOLD)) > 47 * 3600 * 1000


def test_a_script_meets_the_very_process_that_was_asked(
    control: Control, redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    redis_client.hset(shard_key(ACME.shard), "run_id", "0" * 40)
    with pytest.raises(ShardClosed):
        run(adopt_call(CLAIM, lease_ms=9000))


def test_keys_that_are_not_those_of_the_hold_fail_before_anything_is_written(
    redis_client: redis.Redis, begin: Callable[[], Reply], run: Run
) -> None:
    begin()
    call = adopt_call(CLAIM, lease_ms=9000)
    with pytest.raises(EnforcementUnavailable, match="HOLDKEYS"):
        run(replace(call, keys=call.keys[:-2]))
    assert redis_client.exists(ACME.hold(HOLD)) == 0
