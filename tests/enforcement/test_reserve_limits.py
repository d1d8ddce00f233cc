"""Reserve holds rate limits and idempotency keys in the same step as budgets."""

from __future__ import annotations

import pytest
import redis

from enforcement.decisions import (
    AlreadyDone,
    Granted,
    Idempotency,
    InProgress,
    OtherBody,
    RateLimited,
    Refused,
)
from enforcement.policies import RateLimit
from tests.enforcement.desk import ACME, Desk, draw


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client)


def test_requests_per_minute_are_limited_with_their_burst(desk: Desk) -> None:
    desk.budget("bud_a", 50_000)
    rates = (RateLimit("lim_free"), RateLimit("lim_a", requests_per_minute=6, burst=2))
    outcomes = [desk.reserve(desk.reservation(draw("bud_a"), rates=rates)) for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Granted, Granted, RateLimited]
    limited = outcomes[-1]
    assert isinstance(limited, RateLimited)
    assert (limited.limit_id, limited.kind) == ("lim_a", "requests")
    assert 9_000 < limited.retry_after_ms <= 10_000
    assert desk.held("bud_a") == 2_000
    assert 0 < desk.redis.pttl(ACME.rate("lim_a")) <= 21_000
    # a slot comes free every ten seconds
    arrival_us = int(desk.redis.get(ACME.rate("lim_a")))
    assert 15_000 < arrival_us // 1000 - desk.now_ms() <= 20_000
    desk.redis.set(ACME.rate("lim_a"), arrival_us - limited.retry_after_ms * 1000)
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"), rates=rates)), Granted)
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"), rates=rates)), RateLimited)


def test_a_limit_without_burst_lets_one_through(desk: Desk) -> None:
    rates = (RateLimit("lim_a", requests_per_minute=60),)
    assert isinstance(desk.reserve(desk.reservation(rates=rates)), Granted)
    assert isinstance(desk.reserve(desk.reservation(rates=rates)), RateLimited)


def test_a_refusal_takes_nothing_from_a_rate_limit(desk: Desk) -> None:
    desk.budget("bud_a", 10)
    rates = (RateLimit("lim_a", requests_per_minute=60, in_flight_max=1),)
    for _ in range(3):
        assert isinstance(desk.reserve(desk.reservation(draw("bud_a"), rates=rates)), Refused)
    assert not desk.redis.exists(ACME.rate("lim_a"), ACME.in_flight("lim_a"))


def test_calls_in_flight_are_limited_until_they_end(desk: Desk) -> None:
    desk.budget("bud_a", 50_000)
    rates = (RateLimit("lim_a", in_flight_max=2),)
    first, granted = desk.granted(draw("bud_a"), rates=rates)
    second, _ = desk.sent(draw("bud_a"), rates=rates)
    assert desk.hold(first)["flight"] == "lim_a"
    assert desk.redis.zscore(ACME.in_flight("lim_a"), first.hold_id) == granted.deadline_ms
    assert desk.reserve(desk.reservation(draw("bud_a"), rates=rates)) == RateLimited(
        "lim_a", "in_flight", 1_000
    )
    desk.release(first)
    third, _ = desk.granted(draw("bud_a"), rates=rates)
    desk.settle(second, 10)
    assert desk.redis.zrange(ACME.in_flight("lim_a"), 0, -1) == [third.hold_id.encode()]


def test_a_crash_cannot_leak_a_call_in_flight(desk: Desk) -> None:
    desk.budget("bud_a", 50_000)
    rates = (RateLimit("lim_a", in_flight_max=1),)
    desk.granted(draw("bud_a"), rates=rates)
    key = ACME.in_flight("lim_a")
    desk.redis.delete(key)
    now = desk.now_ms()
    desk.redis.zadd(key, {"overdue": now - 20_000})
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"), rates=rates)), RateLimited)
    desk.redis.zadd(key, {"overdue": now - 31_000})
    ref, _ = desk.granted(draw("bud_a"), rates=rates)
    assert desk.redis.zrange(key, 0, -1) == [ref.hold_id.encode()]


def test_money_is_judged_before_rates(desk: Desk) -> None:
    desk.budget("bud_a", 10)
    rates = (RateLimit("lim_a", in_flight_max=1),)
    desk.redis.zadd(ACME.in_flight("lim_a"), {"other": desk.now_ms() + 60_000})
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"), rates=rates)), Refused)


def test_an_idempotency_key_admits_one_call(desk: Desk) -> None:
    desk.budget("bud_a", 50_000)
    mine = Idempotency("digest", "body-1")
    ref, _ = desk.sent(draw("bud_a"), idempotency=mine, request_id="req_1")
    key = ACME.idempotency("digest")
    assert 24 * 3600 * 1000 - 60_000 < desk.redis.pttl(key) <= 24 * 3600 * 1000
    again = {"idempotency": mine, "request_id": "req_2"}
    assert desk.reserve(desk.reservation(draw("bud_a"), **again)) == InProgress("req_1")  # type: ignore[arg-type]
    other = {"idempotency": Idempotency("digest", "body-2"), "request_id": "req_3"}
    assert desk.reserve(desk.reservation(draw("bud_a"), **other)) == OtherBody("req_1")  # type: ignore[arg-type]
    desk.settle(ref, 77)
    assert desk.reserve(desk.reservation(draw("bud_a"), **again)) == AlreadyDone("req_1", 77)  # type: ignore[arg-type]
    assert desk.reserve(desk.reservation(draw("bud_a"), **other)) == OtherBody("req_1")  # type: ignore[arg-type]


def test_a_released_call_may_be_tried_again_under_its_idempotency_key(desk: Desk) -> None:
    desk.budget("bud_a", 50_000)
    mine = Idempotency("digest", "body-1")
    for request_id in ("req_1", "req_2"):
        ref, _ = desk.sent(draw("bud_a"), idempotency=mine, request_id=request_id)
        desk.release(ref)
        assert not desk.redis.exists(ACME.idempotency("digest"))


def test_a_further_attempt_of_the_same_call_takes_the_idempotency_key_over(desk: Desk) -> None:
    desk.budget("bud_a", 50_000)
    mine = Idempotency("digest", "body-1")
    first, _ = desk.sent(draw("bud_a"), idempotency=mine, request_id="req_1")
    second, _ = desk.sent(draw("bud_a"), idempotency=mine, request_id="req_1")
    desk.release(first)  # no longer the owner
    assert desk.redis.exists(ACME.idempotency("digest"))
    desk.settle(second, 5)
    outcome = desk.reserve(desk.reservation(draw("bud_a"), idempotency=mine, request_id="req_2"))
    assert outcome == AlreadyDone("req_1", 5)
