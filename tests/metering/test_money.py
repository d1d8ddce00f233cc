from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import MoneyError
from metering.money import NanoUsd, ceil_div, charge_for, cost_from_mtok_sum, format_usd, parse_usd

amounts = st.integers(-(10**20), 10**20)


@given(amount_nanousd=amounts)
def test_what_is_written_reads_back_the_same(amount_nanousd: int) -> None:
    assert parse_usd(format_usd(amount_nanousd)) == amount_nanousd


@pytest.mark.parametrize(
    ("text", "amount_nanousd"),
    [
        ("50", 50_000_000_000),
        (" 50.00 ", 50_000_000_000),
        ("0.000000001", 1),
        ("-0.5", -500_000_000),
    ],
)
def test_dollars_are_read_exactly(text: str, amount_nanousd: int) -> None:
    assert parse_usd(text) == amount_nanousd


@pytest.mark.parametrize(
    "text", ["", "1e3", ".5", "5.", "$5", "1,000", "0.0000000001", "NaN", "+1", "\u0665"]
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(MoneyError, match="no dollar amount"):
        parse_usd(text)


def test_dollars_are_written_with_two_places_at_least() -> None:
    assert [format_usd(value) for value in (0, 1, 1_500_000_000, -250_000_000)] == [
        "0.00",
        "0.000000001",
        "1.50",
        "-0.25",
    ]


@given(numerator=amounts, denominator=st.integers(1, 10**9))
def test_rounding_is_up_and_by_less_than_one(numerator: int, denominator: int) -> None:
    assert 0 <= ceil_div(numerator, denominator) * denominator - numerator < denominator


def test_a_sum_is_rounded_once() -> None:
    assert cost_from_mtok_sum(1) == 1
    assert cost_from_mtok_sum(1_000_000) == 1
    assert cost_from_mtok_sum(1_000_001) == 2


def test_a_charge_is_the_cost_marked_up_and_a_fixed_part() -> None:
    assert charge_for(NanoUsd(1000), 2000) == 1200
    assert charge_for(NanoUsd(1), 1) == 2
    assert charge_for(NanoUsd(1000), 0, 50) == 1050


def test_what_cost_nothing_is_charged_nothing() -> None:
    assert charge_for(NanoUsd(0), 2000, 50) == 0
