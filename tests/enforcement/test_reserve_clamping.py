"""Reserve cuts the answer's cap where it may, to the last token that fits."""

from __future__ import annotations

import pytest
import redis
from msgspec.structs import replace

from enforcement.decisions import (
    Crowded,
    Granted,
    Refused,
)
from metering.money import LIMIT_NANOUSD_MAX, NanoUsd
from metering.quote import Amounts
from tests.enforcement.desk import Desk, amounts, draw


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client)


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
