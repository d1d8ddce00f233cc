"""Nano-dollars: parsing, printing and the only rounding in the project."""

from __future__ import annotations

import re
from typing import NewType

from metering.errors import MoneyError

NanoUsd = NewType("NanoUsd", int)
NanoUsdPerMtok = NewType("NanoUsdPerMtok", int)

NANOUSD_PER_USD = 1_000_000_000
TOKENS_PER_MTOK = 1_000_000
BASIS_POINTS = 10_000

# Lua numbers are doubles: a window's sums must stay below 2**53 nano-dollars ($9,007,199.25).
LIMIT_NANOUSD_MAX = NanoUsd(9_000_000 * NANOUSD_PER_USD)

_USD = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,12})(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)


def parse_usd(text: str) -> NanoUsd:
    """Read a decimal dollar string such as ``"50.00"`` exactly.

    Raises: MoneyError when it is no plain decimal or has more than nine places.
    """
    match = _USD.fullmatch(text.strip())
    if match is None:
        raise MoneyError(f"{text!r} is no dollar amount: write digits and at most nine decimals")
    fraction = (match["fraction"] or "").ljust(9, "0")
    amount_nanousd = int(match["whole"]) * NANOUSD_PER_USD + int(fraction)
    return NanoUsd(-amount_nanousd if match["sign"] else amount_nanousd)


def format_usd(amount_nanousd: int) -> str:
    """Write nano-dollars as an exact decimal dollar string with at least two places."""
    whole, fraction = divmod(abs(amount_nanousd), NANOUSD_PER_USD)
    places = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount_nanousd < 0 else ''}{whole}.{places}"


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide and round up: the one way money is ever rounded."""
    return -(-numerator // denominator)


def cost_from_mtok_sum(nanousd_times_mtok: int) -> NanoUsd:
    """Turn a sum of ``tokens x price per million tokens`` into nano-dollars, rounded up once."""
    return NanoUsd(ceil_div(nanousd_times_mtok, TOKENS_PER_MTOK))


def charge_for(cost_nanousd: NanoUsd, markup_bp: int, markup_fixed_nanousd: int = 0) -> NanoUsd:
    """What the customer is billed for a cost: basis points on top, rounded up once, plus a fixed part per call.

    A zero cost is a zero charge: a call that was not billed to us is not billed on.
    """
    if cost_nanousd == 0:
        return NanoUsd(0)
    marked_up = ceil_div(cost_nanousd * (BASIS_POINTS + markup_bp), BASIS_POINTS)
    return NanoUsd(marked_up + markup_fixed_nanousd)
