"""What a customer pays per million tokens of a bucket: the price's rate with the markup on it. Exact; no float."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from metering.errors import UnpricedModel
from metering.money import BASIS_POINTS, NANOUSD_PER_USD
from metering.rates import Price

FindPrice = Callable[[str], Price | None]
_PLACES = 13  # nano-dollars times basis points are ten-thousandths of a nano-dollar


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """One bucket's price to the customer; ``has_tiers``: a long prompt is billed at another rate."""

    bucket: str
    usd_per_mtok: str
    has_tiers: bool


def unit_prices(price: Price | None, buckets: Iterable[str], markup_bp: int) -> list[UnitPrice]:
    """The unit prices of the buckets that were used; those that nobody can tell any more are left out."""
    found = []
    for bucket in buckets:
        try:
            rate = price.rate_for(bucket) if price else None
        except UnpricedModel:
            rate = None
        if rate is not None:
            text = marked_up_text(rate.nanousd_per_mtok, markup_bp)
            found.append(UnitPrice(bucket, text, bool(rate.tiers)))
    return found


def marked_up_text(rate_nanousd: int, markup_bp: int) -> str:
    """Write a rate with a markup on it as decimal dollars, exactly."""
    scaled = rate_nanousd * (BASIS_POINTS + markup_bp)
    whole, fraction = divmod(abs(scaled), NANOUSD_PER_USD * BASIS_POINTS)
    places = f"{fraction:0{_PLACES}d}".rstrip("0").ljust(2, "0")
    return f"{'-' if scaled < 0 else ''}{whole}.{places}"
