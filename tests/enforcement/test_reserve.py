"""Every decision of the reserve script, on a real Valkey."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from enforcement.decisions import (
    AlreadyDone,
    Crowded,
    FirstSeen,
    Granted,
    Idempotency,
    InProgress,
    Judged,
    NotLoaded,
    OtherBody,
    Overloaded,
    RateLimited,
    Refused,
    Replayed,
    Stale,
    Turned,
    UnknownCustomer,
)
from enforcement.errors import ShardClosed
from enforcement.keys import arrivals_key, deadlines_key, shard_key, wanted_key
from enforcement.policies import RateLimit
from metering.ids import derived_id, external_digest
from metering.money import LIMIT_NANOUSD_MAX, NanoUsd
from metering.quote import Amounts
from metering.windows import Window
from tests.enforcement.desk import ACME, EPOCH, TOTAL, Desk, amounts, draw


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client)


def test_a_grant_claims_the_whole_quote_on_every_budget(desk: Desk) -> None:
    desk.budget("bud_a", 5_000)
    desk.budget("bud_b", 9_000)
    ref, granted = desk.granted(
        draw("bud_a"), draw("bud_b", measure="cost"), charge=amounts(200, 20, 90, 10), request_id="req_9"
    )
    assert (granted.cost_nanousd, granted.charge_nanousd) == (1_000, 2_000)
    assert (desk.held("bud_a"), desk.held("bud_b")) == (2_000, 1_000)
    assert (desk.spent("bud_a"), desk.spent("bud_b")) == (0, 0)
    assert granted.remaining_nanousd == 3_000
    assert not granted.clamped
    assert granted.draws == (("bud_a", "total:0", "charge"), ("bud_b", "total:0", "cost"))
    hold = desk.hold(ref)
    assert hold == {
        "state": "reserved",
        "attempt": "attempt-1",
        "epoch": str(EPOCH),
        "deadline": str(granted.deadline_ms),
        "cost": "1000",
        "charge": "2000",
        "cap": "90",
        "request": "req_9",
        "tenant": ACME.tenant_id,
        "mode": "test",
        "draws": "bud_a:total:0:charge,bud_b:total:0:cost",
        "flight": "",
        "idem": "",
        "body": '{"body":1}',
    }
    assert desk.open_keys() == [ACME.hold(ref.hold_id)]
    assert desk.redis.zscore(deadlines_key(ACME.shard), ACME.hold(ref.hold_id)) == granted.deadline_ms
    assert 0 <= granted.deadline_ms - 10_000 - desk.now_ms() + 5_000 <= 5_001
    assert desk.record("bud_a")["b:total:0"] == "0"
    assert int(desk.record("bud_a")["e:total:0"]) == TOTAL.end_ms


def test_a_call_that_draws_on_no_budget_is_granted(desk: Desk) -> None:
    _, granted = desk.granted()
    assert granted.draws == ()
    assert granted.remaining_nanousd == 0


def test_a_quote_that_just_fits_is_granted_and_one_nano_dollar_less_is_not(desk: Desk) -> None:
    desk.budget("bud_a", 1_000)
    desk.budget("bud_b", 999)
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"))), Granted)
    assert isinstance(desk.reserve(desk.reservation(draw("bud_b"))), Refused)


def test_a_budget_named_twice_counts_once(desk: Desk) -> None:
    desk.budget("bud_a", 1_500)
    _, granted = desk.granted(draw("bud_a"), draw("bud_a"))
    assert desk.held("bud_a") == 1_000
    assert len(granted.draws) == 1


def test_nothing_is_claimed_anywhere_when_one_budget_refuses(desk: Desk) -> None:
    desk.budget("bud_a", 5_000)
    desk.budget("bud_b", 50)
    outcome = desk.reserve(desk.reservation(draw("bud_a"), draw("bud_b")))
    assert isinstance(outcome, Refused)
    assert outcome.budget.budget_id == "bud_b"
    assert desk.record("bud_a") == {"limit": "5000", "version": "1", "epoch": str(EPOCH)}
    assert desk.open_keys() == []


def test_what_is_spent_and_leaves_less_than_the_minimum_refuses(desk: Desk) -> None:
    desk.budget("bud_a", 1_000, **{"s:total:0": 801, "h:total:0": 0})
    outcome = desk.reserve(desk.reservation(draw("bud_a", may_clamp=True), cap_is_ours=True))
    assert isinstance(outcome, Refused)
    state = outcome.budget
    assert (state.limit_nanousd, state.spent_nanousd, state.held_nanousd) == (1_000, 801, 0)
    assert state.needed_nanousd == 200
    assert state.left_nanousd == 199
    assert state.window_end_ms == TOTAL.end_ms


def test_a_spent_budget_refuses_even_when_another_is_only_crowded(desk: Desk) -> None:
    desk.budget("bud_crowded", 1_500, **{"s:total:0": 0, "h:total:0": 1_000})
    desk.budget("bud_spent", 1_000, **{"s:total:0": 900})
    outcome = desk.reserve(desk.reservation(draw("bud_crowded"), draw("bud_spent")))
    assert isinstance(outcome, Refused)
    assert outcome.budget.budget_id == "bud_spent"


def test_of_two_spent_budgets_the_tighter_rules(desk: Desk) -> None:
    desk.budget("bud_a", 1_000, **{"s:total:0": 850})
    desk.budget("bud_b", 1_000, **{"s:total:0": 950})
    desk.budget("bud_c", 1_000, **{"s:total:0": 900})
    outcome = desk.reserve(desk.reservation(draw("bud_a"), draw("bud_b"), draw("bud_c")))
    assert isinstance(outcome, Refused)
    assert outcome.budget.budget_id == "bud_b"


def test_holds_in_the_way_crowd(desk: Desk) -> None:
    desk.budget("bud_a", 1_500)
    desk.granted(draw("bud_a"))
    outcome = desk.reserve(desk.reservation(draw("bud_a", may_clamp=True), cap_is_ours=True))
    assert isinstance(outcome, Crowded)
    assert outcome.budget.held_nanousd == 1_000
    assert outcome.budget.needed_nanousd == 1_000
    assert outcome.retry_after_ms == 1_000
    assert desk.held("bud_a") == 1_000


@pytest.mark.parametrize(("ours", "policy"), [(True, False), (False, True)])
def test_a_quote_that_never_fits_is_cut_where_it_may_be(desk: Desk, ours: bool, policy: bool) -> None:
    desk.budget("bud_a", 1_000, **{"s:total:0": 345})
    _, granted = desk.granted(draw("bud_a", may_clamp=policy), cap_is_ours=ours)
    assert granted.clamped
    assert granted.output_cap == 55  # 100 + 55 x 10 = 650 <= 655
    assert granted.cost_nanousd == 650
    assert desk.held("bud_a") == 650
    assert granted.remaining_nanousd == 5


@pytest.mark.parametrize(
    ("ours", "policy", "cuttable"), [(False, False, True), (True, True, False), (False, True, False)]
)
def test_a_quote_that_never_fits_is_refused_where_it_must_not_be_cut(
    desk: Desk, ours: bool, policy: bool, cuttable: bool
) -> None:
    desk.budget("bud_a", 1_000, **{"s:total:0": 345})
    outcome = desk.reserve(
        desk.reservation(draw("bud_a", may_clamp=policy), cap_is_ours=ours, may_clamp=cuttable)
    )
    assert isinstance(outcome, Refused)
    assert outcome.budget.needed_nanousd == 1_000


def test_a_cut_that_only_holds_prevent_is_crowded(desk: Desk) -> None:
    # The quote exceeds what is not spent; the minimum (200) would fit but for what is held.
    desk.budget("bud_a", 900, **{"s:total:0": 0, "h:total:0": 701})
    outcome = desk.reserve(desk.reservation(draw("bud_a", may_clamp=True)))
    assert isinstance(outcome, Crowded)
    assert outcome.budget.needed_nanousd == 200


def test_a_cut_to_exactly_the_minimum_is_granted(desk: Desk) -> None:
    desk.budget("bud_a", 900, **{"s:total:0": 0, "h:total:0": 700})
    _, granted = desk.granted(draw("bud_a", may_clamp=True))
    assert granted.output_cap == 10
    assert granted.remaining_nanousd == 0


def test_the_cap_is_cut_to_the_tightest_of_the_budgets_that_allow_it(desk: Desk) -> None:
    desk.budget("bud_a", 700)
    desk.budget("bud_b", 400)
    desk.budget("bud_c", 5_000)
    _, granted = desk.granted(draw("bud_a", may_clamp=True), draw("bud_b", may_clamp=True), draw("bud_c"))
    assert granted.output_cap == 30
    assert [desk.held(budget) for budget in ("bud_a", "bud_b", "bud_c")] == [400, 400, 400]


def test_a_budget_that_forbids_cutting_is_not_cut_for_its_holds(desk: Desk) -> None:
    # bud_a may cut and must (600 left); bud_b may not, and has 300 free only because of holds.
    desk.budget("bud_a", 600)
    desk.budget("bud_b", 2_000, **{"s:total:0": 0, "h:total:0": 1_700})
    outcome = desk.reserve(desk.reservation(draw("bud_a", may_clamp=True), draw("bud_b")))
    assert isinstance(outcome, Crowded)
    assert outcome.budget.budget_id == "bud_b"
    assert outcome.budget.needed_nanousd == 600


def test_a_rigid_budget_that_can_never_pay_refuses_though_another_may_cut(desk: Desk) -> None:
    desk.budget("bud_a", 600)
    desk.budget("bud_b", 900)
    outcome = desk.reserve(desk.reservation(draw("bud_a", may_clamp=True), draw("bud_b")))
    assert isinstance(outcome, Refused)
    assert outcome.budget.budget_id == "bud_b"


def test_the_budget_that_lacks_the_minimum_rules_a_cut_that_does_not_fit(desk: Desk) -> None:
    desk.budget("bud_a", 1_100)
    desk.budget("bud_b", 1_200, **{"s:total:0": 0, "h:total:0": 1_050})
    outcome = desk.reserve(
        desk.reservation(
            draw("bud_a", may_clamp=True),
            draw("bud_b", measure="cost", may_clamp=True),
            charge=amounts(200, 20, 90, 10),
        )
    )
    assert isinstance(outcome, Crowded)
    assert (outcome.budget.budget_id, outcome.budget.needed_nanousd) == ("bud_b", 200)


def test_a_cap_whose_tokens_cost_nothing_in_one_measure_is_cut_by_the_other_alone(desk: Desk) -> None:
    desk.budget("bud_a", 600)
    desk.budget("bud_b", 300, **{"s:total:0": 0, "h:total:0": 250})
    free = {"charge": amounts(100, 0, 90, 10)}
    draws = (draw("bud_a", measure="cost", may_clamp=True), draw("bud_b", may_clamp=True))
    outcome = desk.reserve(desk.reservation(*draws, **free))  # type: ignore[arg-type]
    assert isinstance(outcome, Crowded)
    assert (outcome.budget.budget_id, outcome.budget.needed_nanousd) == ("bud_b", 100)
    desk.budget("bud_b", 350)
    _, granted = desk.granted(*draws, **free)
    assert (granted.output_cap, granted.cost_nanousd, granted.charge_nanousd) == (50, 600, 100)


def test_what_remains_is_of_the_tightest_budget_wherever_it_stands(desk: Desk) -> None:
    desk.budget("bud_a", 9_000)
    desk.budget("bud_b", 5_000)
    _, granted = desk.granted(draw("bud_a", measure="cost"), draw("bud_b"), charge=amounts(200, 20, 90, 10))
    assert granted.remaining_nanousd == 3_000


def test_each_budget_is_judged_by_its_own_measure(desk: Desk) -> None:
    desk.budget("bud_cost", 1_000)
    desk.budget("bud_charge", 1_999)
    outcome = desk.reserve(
        desk.reservation(
            draw("bud_cost", measure="cost"),
            draw("bud_charge", measure="charge"),
            charge=amounts(200, 20, 90, 10),
        )
    )
    assert isinstance(outcome, Refused)
    assert outcome.budget.budget_id == "bud_charge"


def test_clamping_is_exact_near_the_largest_limit(desk: Desk) -> None:
    # Divisions whose floating-point quotient rounds up to the next whole number must not grant one token too many.
    limit = int(LIMIT_NANOUSD_MAX)
    cases = [(1, 3), (7, 3), (123_456_789, 9_999_999), (0, 7), (limit - 999_999, 333_333), (5, 1_000_003)]
    for number, (least, per_token) in enumerate(cases):
        budget_id = f"bud_{number}"
        desk.budget(budget_id, limit)
        cap = limit // per_token + 1_000
        cost = Amounts(
            NanoUsd(least), NanoUsd(limit + per_token * 1_000), per_token, NanoUsd(least + per_token)
        )
        reservation = desk.reservation(draw(budget_id), cap_is_ours=True, charge=cost)
        reservation = replace(reservation, cost=cost, output_cap=cap, output_minimum=1)
        granted = desk.reserve(reservation)
        assert isinstance(granted, Granted)
        assert granted.output_cap == (limit - least) // per_token
        assert granted.charge_nanousd == least + per_token * granted.output_cap <= limit
        assert desk.held(budget_id) == granted.charge_nanousd
        assert granted.remaining_nanousd == limit - granted.charge_nanousd


def test_sums_of_fifteen_digits_are_kept_to_the_nano_dollar(desk: Desk) -> None:
    limit = int(LIMIT_NANOUSD_MAX)
    desk.budget("bud_a", limit, **{"s:total:0": limit - 1_001, "h:total:0": 1})
    _, granted = desk.granted(draw("bud_a"))
    assert granted.remaining_nanousd == 0
    assert desk.held("bud_a") == 1_001
    outcome = desk.reserve(desk.reservation(draw("bud_a"), least=1, per_token=0, cap=1, minimum=1))
    assert isinstance(outcome, Crowded)
    assert outcome.budget.spent_nanousd == limit - 1_001


def test_an_overrun_budget_refuses_everything(desk: Desk) -> None:
    desk.budget("bud_a", 100, **{"s:total:0": 150})
    outcome = desk.reserve(desk.reservation(draw("bud_a"), least=0, per_token=0))
    assert isinstance(outcome, Refused)
    assert outcome.budget.left_nanousd == 0


def test_the_same_hold_id_is_a_replay_and_claims_nothing_more(desk: Desk) -> None:
    desk.budget("bud_a", 5_000)
    reservation = desk.reservation(draw("bud_a"), least=50, per_token=5, charge=amounts(100, 10, 90, 10))
    first = desk.reserve(reservation)
    again = desk.reserve(reservation)
    assert isinstance(first, Granted)
    assert again == Replayed("reserved", same_attempt=True, granted=replace(first, remaining_nanousd=0))
    assert first.cost_nanousd == 500
    other = desk.reserve(replace(reservation, attempt="attempt-2"))
    assert other == Replayed("reserved", same_attempt=False, granted=None)
    assert desk.held("bud_a") == 1_000
    assert len(desk.open_keys()) == 1


def test_a_closed_shard_answers_nobody(desk: Desk) -> None:
    desk.budget("bud_a", 5_000)
    reservation = desk.reservation(draw("bud_a"))
    for field, wrong in (("state", "adopting"), ("state", "closed"), ("run_id", "other"), ("epoch", 8)):
        desk.open_shard()
        desk.redis.hset(shard_key(ACME.shard), field, wrong)
        with pytest.raises(ShardClosed):
            desk.reserve(reservation)
    desk.redis.delete(shard_key(ACME.shard))
    with pytest.raises(ShardClosed):
        desk.reserve(reservation)
    assert desk.held("bud_a") == 0


def test_an_overloaded_shard_admits_nobody_but_answers_replays(desk: Desk) -> None:
    desk.budget("bud_a", 5_000)
    reservation = desk.reservation(draw("bud_a"))
    desk.reserve(reservation)
    desk.redis.hset(shard_key(ACME.shard), "overloaded", "recorder_lag")
    assert desk.reserve(desk.reservation(draw("bud_a"))) == Overloaded("recorder_lag")
    assert isinstance(desk.reserve(reservation), Replayed)


def test_stale_policies_are_named(desk: Desk) -> None:
    desk.budget("bud_a", 5_000)
    key, customer, tenant = ACME.key_policy("d1"), ACME.customer_policy("cus_1"), ACME.tenant_policy()
    judged = [desk.policy(key, 3), desk.policy(customer, 4), desk.policy(tenant, 5)]
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"), judged=judged)), Granted)
    desk.policy(customer, 6)
    assert desk.reserve(desk.reservation(draw("bud_a"), judged=judged)) == Stale((customer,))
    desk.redis.delete(key)
    assert desk.reserve(desk.reservation(draw("bud_a"), judged=judged)) == Stale((key, customer))
    absent = [Judged(key, 0)]
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a"), judged=absent)), Granted)
    desk.policy(key, 1)
    assert desk.reserve(desk.reservation(draw("bud_a"), judged=absent)) == Stale((key,))
    desk.redis.hset(key, "epoch", EPOCH - 1)
    assert desk.reserve(desk.reservation(draw("bud_a"), judged=[Judged(key, 1)])) == Stale((key,))


def test_windows_turn_by_redis_clock(desk: Desk) -> None:
    now = desk.now_ms()
    gone, here = Window("day:1", now - 2_000, now - 1_000), Window("day:2", now - 1_000, now + 100_000)
    later = Window("day:3", now + 100_000, now + 200_000)
    desk.budget("bud_a", 5_000)
    _, granted = desk.granted(draw("bud_a", window=gone, following=here))
    assert granted.draws[0][1] == "day:2"
    assert (desk.held("bud_a", gone), desk.held("bud_a", here)) == (0, 1_000)
    assert desk.record("bud_a")["b:day:2"] == str(here.start_ms)
    _, granted = desk.granted(draw("bud_a", window=Window("day:x", now - 500, now + 9_000), following=later))
    assert granted.draws[0][1] == "day:x"
    assert desk.record("bud_a")["b:day:x"] == str(now - 500)
    assert desk.record("bud_a")["e:day:x"] == str(now + 9_000)
    turned = desk.reserve(desk.reservation(draw("bud_a", window=later, following=later)))
    assert isinstance(turned, Turned)
    assert abs(turned.now_ms - now) < 5_000
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a", window=gone, following=gone))), Turned)


def test_each_window_has_the_whole_limit(desk: Desk) -> None:
    now = desk.now_ms()
    here = Window("day:2", now - 1_000, now + 100_000)
    desk.budget("bud_a", 1_000, **{"s:day:1": 1_000, "h:day:1": 0})
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a", window=here))), Granted)
    assert isinstance(desk.reserve(desk.reservation(draw("bud_a", window=here))), Crowded)


def test_old_windows_that_hold_nothing_leave_the_record(desk: Desk) -> None:
    now = desk.now_ms()
    two_days = 48 * 3600 * 1000
    record: dict[str, Any] = {}
    for window_id, end_ms, held in (
        ("old", now - two_days - 1_000, 0),
        ("held", now - two_days - 1_000, 5),
        ("new", now - 1, 0),
    ):
        record |= {f"s:{window_id}": 9, f"h:{window_id}": held, f"b:{window_id}": 0, f"e:{window_id}": end_ms}
    desk.budget("bud_a", 5_000, **record)
    desk.granted(draw("bud_a"))
    kept = {name[2:] for name in desk.record("bud_a") if name[1] == ":"}
    assert kept == {"held", "new", "total:0"}


def test_a_budget_that_is_not_loaded_is_wanted_not_empty(desk: Desk) -> None:
    desk.budget("bud_a", 5_000)
    for budget_id, epoch in (("bud_absent", None), ("bud_older", EPOCH - 1)):
        if epoch:
            desk.budget(budget_id, 5_000, epoch=epoch)
        outcome = desk.reserve(desk.reservation(draw("bud_a"), draw(budget_id)))
        assert outcome == NotLoaded(budget_id)
        assert desk.redis.hexists(wanted_key(ACME.shard), f"{ACME.tenant_id}:test:{budget_id}")
        assert desk.reserve(desk.reservation(draw(budget_id), draw("bud_a"))) == NotLoaded(budget_id)
    desk.redis.hdel(ACME.budget("bud_a"), "limit")
    assert desk.reserve(desk.reservation(draw("bud_a"))) == NotLoaded("bud_a")
    assert desk.held("bud_a") == 0


def first_seen(external_id: str = "acme-1") -> FirstSeen:
    customer_id = derived_id("cus", ACME.tenant_id, "test", external_id)
    return FirstSeen(
        external_id, customer_id, draw(derived_id("bud", ACME.tenant_id, "test", external_id, "default"))
    )


def prepare_arrivals(desk: Desk, *, limit: int = 5_000, per_hour: int = 100) -> None:
    desk.redis.hset(ACME.customers(), mapping={"complete": EPOCH, "epoch": EPOCH})
    desk.redis.hset(
        ACME.default_budget(),
        mapping={
            "epoch": EPOCH,
            "version": 3,
            "limit": limit,
            "measure": "charge",
            "arrivals_per_hour_max": per_hour,
        },
    )


def test_a_first_seen_customer_gets_one_default_budget(desk: Desk) -> None:
    prepare_arrivals(desk)
    new = first_seen()
    _, granted = desk.granted(new.draw, first_seen=new)
    assert granted.remaining_nanousd == 4_000
    record = desk.record(new.draw.budget_id)
    assert (record["limit"], record["version"], record["epoch"]) == ("5000", "3", str(EPOCH))
    assert desk.redis.hget(ACME.customers(), external_digest("acme-1")) == new.customer_id.encode()
    (arrival,) = desk.events(arrivals_key(ACME.shard))
    assert arrival["external_id"] == "acme-1"
    assert arrival["customer_id"] == new.customer_id
    assert arrival["budget_id"] == new.draw.budget_id
    assert (arrival["tenant_id"], arrival["mode"], arrival["limit"]) == (ACME.tenant_id, "test", "5000")
    assert 0 < desk.redis.pttl(ACME.arrivals_this_hour()) <= 3_600_000
    # a second first call of the same customer finds the budget and shares it
    desk.granted(new.draw, first_seen=new)
    assert desk.held(new.draw.budget_id) == 2_000
    assert len(desk.events(arrivals_key(ACME.shard))) == 1


def test_first_calls_of_an_unknown_customer_share_one_default_budget(
    redis_client: redis.Redis, redis_url: str
) -> None:
    desk = Desk(redis_client)
    prepare_arrivals(desk, limit=50_000)
    new = first_seen()
    calls = [desk.reservation(new.draw, first_seen=new) for _ in range(500)]
    outcomes = asyncio.run(reserve_together(desk, redis_url, calls))
    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 50
    assert sum(isinstance(outcome, Crowded) for outcome in outcomes) == 450
    assert desk.held(new.draw.budget_id) == 50_000
    assert len(desk.events(arrivals_key(ACME.shard))) == 1


def test_200_concurrent_reserves_on_room_for_50_grant_exactly_50(
    redis_client: redis.Redis, redis_url: str
) -> None:
    desk = Desk(redis_client)
    desk.budget("bud_a", 50_999)
    calls = [desk.reservation(draw("bud_a")) for _ in range(200)]
    outcomes = asyncio.run(reserve_together(desk, redis_url, calls))
    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 50
    assert sum(isinstance(outcome, Crowded) for outcome in outcomes) == 150
    assert desk.held("bud_a") == 50_000


async def reserve_together(desk: Desk, redis_url: str, calls: list[Any]) -> list[Any]:
    from enforcement.holds import Holds

    proxies = [Holds(redis_url) for _ in range(4)]
    for proxy in proxies:
        await proxy.start()
    try:
        return await asyncio.gather(*(proxies[n % 4].reserve(call) for n, call in enumerate(calls)))
    finally:
        for proxy in proxies:
            await proxy.close()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda desk: desk.redis.hdel(ACME.customers(), "complete"), "index_incomplete"),
        (lambda desk: desk.redis.hset(ACME.customers(), "complete", EPOCH - 1), "index_incomplete"),
        (lambda desk: desk.redis.hset(ACME.customers(), external_digest("acme-1"), "cus_other"), "known"),
        (lambda desk: desk.redis.delete(ACME.default_budget()), "no_default"),
        (lambda desk: desk.redis.hdel(ACME.default_budget(), "limit"), "no_default"),
        (lambda desk: desk.redis.hset(ACME.default_budget(), "epoch", EPOCH - 1), "no_default"),
    ],
)
def test_a_first_seen_customer_is_not_made_in_doubt(desk: Desk, spoil: Any, reason: str) -> None:
    prepare_arrivals(desk)
    spoil(desk)
    new = first_seen()
    assert desk.reserve(desk.reservation(new.draw, first_seen=new)) == UnknownCustomer(reason)  # type: ignore[arg-type]
    assert desk.record(new.draw.budget_id) == {}


def test_arrivals_are_capped_per_hour(desk: Desk) -> None:
    prepare_arrivals(desk, per_hour=2)
    for name in ("a", "b"):
        desk.granted(first_seen(name).draw, first_seen=first_seen(name))
    outcome = desk.reserve(desk.reservation(first_seen("c").draw, first_seen=first_seen("c")))
    assert isinstance(outcome, UnknownCustomer)
    assert outcome.reason == "too_many"
    assert 3_500_000 < outcome.retry_after_ms <= 3_600_000


def test_a_first_seen_customer_whose_default_is_too_small_is_not_made(desk: Desk) -> None:
    prepare_arrivals(desk, limit=10)
    new = first_seen()
    assert isinstance(desk.reserve(desk.reservation(new.draw, first_seen=new)), Refused)
    assert desk.events(arrivals_key(ACME.shard)) == []
    assert not desk.redis.hexists(ACME.customers(), external_digest("acme-1"))


def test_a_default_budget_left_by_an_older_epoch_is_loaded_not_made(desk: Desk) -> None:
    prepare_arrivals(desk)
    new = first_seen()
    desk.budget(new.draw.budget_id, 5_000, epoch=EPOCH - 1)
    assert desk.reserve(desk.reservation(new.draw, first_seen=new)) == NotLoaded(new.draw.budget_id)
    assert desk.events(arrivals_key(ACME.shard)) == []


def test_a_first_seen_customers_other_budgets_rule_too(desk: Desk) -> None:
    prepare_arrivals(desk)
    desk.budget("bud_tenant", 10)
    new = first_seen()
    outcome = desk.reserve(desk.reservation(draw("bud_tenant"), new.draw, first_seen=new))
    assert isinstance(outcome, Refused)
    assert outcome.budget.budget_id == "bud_tenant"


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


def test_a_reservation_with_everything_finds_each_of_its_records(desk: Desk) -> None:
    prepare_arrivals(desk)
    desk.budget("bud_tenant", 9_000)
    new = first_seen()
    judged = [desk.policy(ACME.key_policy("d1"), 3), desk.policy(ACME.tenant_policy(), 5)]
    rates = (
        RateLimit("lim_a", requests_per_minute=60, burst=3, in_flight_max=9),
        RateLimit("lim_c", requests_per_minute=600, burst=9),
        RateLimit("lim_b", in_flight_max=2),
    )
    mine = Idempotency("digest", "body-1")
    everything: dict[str, Any] = {"judged": judged, "rates": rates, "first_seen": new}
    draws = (draw("bud_tenant", measure="cost"), new.draw)
    ref, _ = desk.granted(*draws, **everything, idempotency=mine)
    assert desk.hold(ref)["flight"] == "lim_a,lim_b"
    assert desk.hold(ref)["idem"] == "digest"
    assert desk.redis.zcard(ACME.in_flight("lim_a")) == desk.redis.zcard(ACME.in_flight("lim_b")) == 1
    assert desk.redis.exists(ACME.rate("lim_a"), ACME.rate("lim_c")) == 2
    assert not desk.redis.exists(ACME.rate("lim_b"), ACME.in_flight("lim_c"))
    assert (desk.held("bud_tenant"), desk.held(new.draw.budget_id)) == (1_000, 1_000)
    assert desk.record(new.draw.budget_id)["measure"] == "charge"
    # without the Idempotency-Key every record behind it moves up one place
    second, _ = desk.granted(*draws, **everything)
    limited = desk.reserve(desk.reservation(*draws, **everything))
    assert limited == RateLimited("lim_b", "in_flight", 1_000)
    desk.settle(ref, 10)
    desk.settle(second, 10)
    desk.granted(*draws, **everything)
    limited = desk.reserve(desk.reservation(*draws, **everything))
    assert isinstance(limited, RateLimited)
    assert (limited.limit_id, limited.kind) == ("lim_a", "requests")
    desk.policy(ACME.tenant_policy(), 6)
    assert desk.reserve(desk.reservation(*draws, **everything)) == Stale((ACME.tenant_policy(),))
    assert len(desk.events(arrivals_key(ACME.shard))) == 1


def test_every_grant_moves_the_shards_seq_and_a_refusal_does_not(desk: Desk) -> None:
    desk.budget("bud_a", 1_000)
    desk.granted(draw("bud_a"))
    assert desk.redis.hget(shard_key(ACME.shard), "seq") == b"1"
    desk.reserve(desk.reservation(draw("bud_a")))
    assert desk.redis.hget(shard_key(ACME.shard), "seq") == b"1"
