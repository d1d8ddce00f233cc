"""What is pushed equals the floor of what is booked, whatever order it comes in."""

from __future__ import annotations

from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pushing.arithmetic import (
    NANO,
    VALUE_UNITS_MAX,
    converted_atto,
    next_step,
    rate_on,
    unit_atto_of,
)
from billing.pushing.currencies import minor_digits, unit_minor_of
from metering.money import NanoUsd, charge_for

CURRENCIES = st.sampled_from(["usd", "eur", "jpy", "kwd"])
# Rows in any order: charges of new usage and corrections, with a rate each; True begins a new billing period.
ROWS = st.lists(
    st.tuples(
        st.integers(-(10**12), 10**12), st.integers(1, 200 * NANO), st.booleans()
    ),
    max_size=60,
)  # fmt: skip


def run_rows(rows: list[tuple[int, int, bool]], unit_atto: int) -> tuple[list[int], int, int, int]:
    """Push after every row; returns the sums of the periods, what was pushed, what is owed, and the exact sum."""
    periods, pushed, owed, cumulative = [0], 0, 0, 0
    for charge_nanousd, rate_nano, is_new_period in rows:
        if is_new_period:
            periods.append(0)
        cumulative += converted_atto(charge_nanousd, rate_nano)
        carry = cumulative - pushed * unit_atto
        step = next_step(carry_atto=carry, unit_atto=unit_atto, period_units=periods[-1])
        pushed, owed = pushed + step.value_units, step.owed_units
        periods[-1] += step.value_units
    return periods, pushed, owed, cumulative


@given(rows=ROWS, currency=CURRENCIES)
def test_what_is_pushed_and_owed_is_the_floor_of_the_sum_in_any_order(
    rows: list[tuple[int, int, bool]], currency: str
) -> None:
    unit_atto = unit_atto_of(currency, unit_minor_of(currency))

    periods, pushed, owed, cumulative = run_rows(rows, unit_atto)

    assert pushed + owed == cumulative // unit_atto
    assert min(periods) >= 0
    assert sum(periods) == pushed
    assert 0 <= cumulative - (pushed + owed) * unit_atto < unit_atto
    assert owed <= 0


@given(charges=st.lists(st.integers(0, 10**11), max_size=60), seed=st.integers(0, 99))
def test_without_corrections_nothing_is_ever_owed_and_order_changes_nothing(
    charges: list[int], seed: int
) -> None:
    unit_atto = unit_atto_of("usd", 1)
    shuffled = Random(seed).sample(charges, len(charges))

    told = [run_rows([(charge, NANO, False) for charge in each], unit_atto) for each in (charges, shuffled)]

    assert told[0] == told[1]
    assert told[0][1:3] == (sum(charges) // 10**7, 0)


@given(
    costs=st.lists(st.integers(1, 10**8), min_size=1, max_size=40),
    markups=st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)),
    change_at=st.integers(0, 40),
)
def test_a_markup_that_changes_within_the_hour_is_in_the_rows_already(
    costs: list[int], markups: tuple[int, int], change_at: int
) -> None:
    charges = [charge_for(NanoUsd(cost), markups[place >= change_at]) for place, cost in enumerate(costs)]

    _, pushed, owed, _ = run_rows([(charge, NANO, False) for charge in charges], unit_atto_of("usd", 1))

    assert (pushed, owed) == (sum(charges) // 10**7, 0)


def test_a_hundred_thousand_small_calls_are_billed_once_they_make_a_cent() -> None:
    random = Random(1)
    charges = [random.randrange(1, 9_000_000) for _ in range(100_000)]  # each below a cent

    periods, pushed, owed, _ = run_rows(
        [(charge, NANO, place % 30_000 == 0) for place, charge in enumerate(charges)], unit_atto_of("usd", 1)
    )

    assert (sum(periods), pushed, owed) == (sum(charges) // 10**7, sum(charges) // 10**7, 0)


def test_a_correction_below_zero_is_clamped_and_the_rest_carried() -> None:
    cent = unit_atto_of("usd", 1)

    step = next_step(carry_atto=-550 * cent, unit_atto=cent, period_units=100)

    assert (step.value_units, step.owed_units) == (-100, -450)


def test_a_value_has_fifteen_digits_at_most_and_the_rest_comes_later() -> None:
    first = next_step(carry_atto=10**15 + 5, unit_atto=1, period_units=0)
    second = next_step(carry_atto=10**15 + 5 - first.value_units, unit_atto=1, period_units=0)

    assert (first.value_units, second.value_units, second.owed_units) == (VALUE_UNITS_MAX, 6, 0)


@pytest.mark.parametrize(("currency", "digits", "unit_minor"), [("usd", 2, 1), ("jpy", 0, 1), ("kwd", 3, 10)])
def test_each_currency_has_its_minor_unit(currency: str, digits: int, unit_minor: int) -> None:
    assert (minor_digits(currency), unit_minor_of(currency)) == (digits, unit_minor)


def test_a_dollar_in_yen_and_in_dinars() -> None:
    yen = converted_atto(NANO, 150 * NANO) // unit_atto_of("jpy", 1)
    fils = converted_atto(NANO, 307_450_000) // unit_atto_of("kwd", 10)

    assert (yen, fils) == (150, 30)  # 0.30745 dinars: 30 units of 10 fils, 7.45 fils carried


def test_the_rate_is_that_of_the_day_or_the_newest_before_it() -> None:
    rates = {date(2026, 11, 1): 920_000_000, date(2026, 11, 10): 930_000_000}

    assert rate_on(rates, date(2026, 11, 9), "eur") == 920_000_000
    assert rate_on(rates, date(2026, 11, 10), "eur") == 930_000_000
    assert rate_on(rates, date(2026, 10, 31), "eur") is None
    assert rate_on({}, date(2026, 10, 31), "usd") == NANO
