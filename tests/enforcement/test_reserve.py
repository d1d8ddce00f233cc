"""Every decision of the reserve script, on a real Valkey."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from msgspec.structs import replace

from enforcement.decisions import (
    Crowded,
    Granted,
    Idempotency,
    Judged,
    NotLoaded,
    Overloaded,
    RateLimited,
    Refused,
    Replayed,
    Stale,
    Turned,
)
from enforcement.errors import ShardClosed
from enforcement.keys import arrivals_key, deadlines_key, shard_key, wanted_key
from enforcement.policies import RateLimit
from metering.money import LIMIT_NANOUSD_MAX
from metering.windows import Window
from tests.enforcement.arrivals import first_seen, prepare_arrivals
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
    assert int(desk.record("bud_a")["dropped"]) == now - two_days - 1_000


def test_a_window_whose_sums_were_dropped_by_a_clock_that_ran_ahead_is_loaded_again(desk: Desk) -> None:
    now = desk.now_ms()
    here = Window("day:2", now - 1_000, now + 100_000)
    desk.budget("bud_a", 5_000, **{"s:day:5": 0, "dropped": here.end_ms})
    assert desk.reserve(desk.reservation(draw("bud_a", window=here))) == NotLoaded("bud_a")
    assert desk.redis.hexists(wanted_key(ACME.shard), f"{ACME.tenant_id}:test:bud_a")
    assert desk.record("bud_a")["pending_limit"] == "5000"
    # A later window was never dropped: it is new, and begins at nothing.
    desk.budget("bud_b", 5_000, **{"dropped": here.end_ms - 1})
    assert isinstance(desk.reserve(desk.reservation(draw("bud_b", window=here))), Granted)


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
