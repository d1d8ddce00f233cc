"""What is to be pushed: the floor of a cumulative sum in whole units, the rest carried. Integers only, pure.

A customer's sum is kept in *atto* of the billing currency: nano-dollars times the day's rate (currency-nano per
dollar), so that nothing is rounded before the one floor. Whatever order rows, corrections and period edges come in, the
next value is the difference between that floor and what was pushed before; what a clamp holds back is owed, and comes
with a later value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from billing.pushing.currencies import USD, minor_digits

NANO = 10**9
ATTO = 10**18
# Stripe keeps values as doubles and refuses more than fifteen digits.
VALUE_UNITS_MAX = 10**15 - 1


@dataclass(frozen=True, slots=True)
class Step:
    """The value of the next push, and what is still owed after it because a clamp held it back."""

    value_units: int
    owed_units: int


def unit_atto_of(currency: str, unit_minor: int) -> int:
    """Work out what one pushed unit is worth, in atto of its currency."""
    return unit_minor * int(10 ** (18 - minor_digits(currency)))


def converted_atto(charge_nanousd: int, rate_nano: int) -> int:
    """Convert a charge exactly: nano-dollars times currency-nano per dollar are atto of the currency."""
    return charge_nanousd * rate_nano


def rate_on(rates_nano: Mapping[date, int], day: date, currency: str) -> int | None:
    """Find the rate of a day: the newest that is not younger; None when there is none. A dollar is a dollar."""
    if currency == USD:
        return NANO
    dated = [each for each in rates_nano if each <= day]
    return rates_nano[max(dated)] if dated else None


def next_step(*, carry_atto: int, unit_atto: int, period_units: int) -> Step:
    """Work out the next value so that all pushed is the floor of the sum in whole units.

    ``carry_atto`` is the sum less what was pushed of it. ``period_units`` is what the period it falls into sums to so
    far: no value takes a period below zero, for there the rest would be lost. What is held back, also beyond fifteen
    digits, stays owed.
    """
    wanted_units = carry_atto // unit_atto
    least_units = -max(0, period_units)
    value_units = max(wanted_units, least_units, -VALUE_UNITS_MAX)
    value_units = min(value_units, VALUE_UNITS_MAX)
    return Step(value_units, wanted_units - value_units)
