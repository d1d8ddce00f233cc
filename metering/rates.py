"""The shape of a price: rates per million tokens by bucket, their tiers, and fees per unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from metering.errors import RequestShapeError, UnpricedModel
from metering.money import ceil_div

# The extra that counts the tokens of pictures in an answer, which have a price of their own and no bucket.
IMAGE_OUTPUT = "image_output_token"
# A bucket without a rate of its own is billed as the one it is a kind of.
FALLBACKS = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_input": "input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """One bucket's price in nano-dollars per million tokens, with dearer tiers above a prompt size.

    ``tiers`` are ``(prompt_tokens_above, nanousd_per_mtok)``, ascending: the whole call is billed at the
    tier its prompt reaches ("cliff").
    """

    nanousd_per_mtok: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, prompt_tokens: int) -> int:
        """The rate that a prompt of this size is billed at, in nano-dollars per million tokens."""
        rate = self.nanousd_per_mtok
        for above, tier_rate in self.tiers:
            if prompt_tokens > above:
                rate = tier_rate
        return rate

    def dearest(self, prompt_tokens_max: int) -> int:
        """The dearest rate that any prompt up to this size can be billed at: tiers need not grow."""
        reached = [rate for above, rate in self.tiers if prompt_tokens_max > above]
        return max(self.nanousd_per_mtok, *reached) if reached else self.nanousd_per_mtok


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs from one date on. ``rates`` by bucket name of ``metering.usage.TOKEN_BUCKETS``."""

    price_id: str
    provider: str
    model: str
    rates: Mapping[str, Rate]
    # Nano-dollars per unit of a counted extra (web_search ...), and per request.
    extras_nanousd: Mapping[str, int] = field(default_factory=dict)
    per_request_nanousd: int = 0
    source: str = ""

    def rate_for(self, bucket: str) -> Rate:
        """The rate of a bucket, its own or the one it falls back to. Raises: UnpricedModel where there is none."""
        name: str | None = bucket
        while name is not None:
            rate = self.rates.get(name)
            if rate is not None:
                return rate
            name = FALLBACKS.get(name)
        raise UnpricedModel(self.provider, self.model)


def dearest_of(price: Price, others: Sequence[Price]) -> Price:
    """Return a price that no bill by one of several can be above, under the first one's name: to quote by alone."""
    prices = (price, *(one for one in others if one != price))
    if len(prices) == 1:
        return price
    buckets = {bucket for one in prices for bucket in one.rates}
    extras = {name for one in prices for name in one.extras_nanousd}
    return replace(
        price,
        rates={
            bucket: _dearest_rate([one for one in prices if _bills(one, bucket)], bucket)
            for bucket in buckets
        },
        extras_nanousd={name: max(one.extras_nanousd.get(name, 0) for one in prices) for name in extras},
        per_request_nanousd=max(one.per_request_nanousd for one in prices),
    )


def _bills(price: Price, bucket: str) -> bool:
    """Tell whether a price has a rate for a bucket, its own or the one it falls back to."""
    name: str | None = bucket
    while name is not None and name not in price.rates:
        name = FALLBACKS.get(name)
    return name is not None


def _dearest_rate(prices: Sequence[Price], bucket: str) -> Rate:
    rates = [price.rate_for(bucket) for price in prices]
    starts = sorted({above for rate in rates for above, _ in rate.tiers})
    base = max(rate.nanousd_per_mtok for rate in rates)
    return Rate(base, tuple((above, max(rate.at(above + 1) for rate in rates)) for above in starts))


# Tiers at the standard price or below it. Below is quoted at standard: a provider may fall back to it.
# "auto" is whatever the caller's provider project is set to, which is standard unless somebody changed it there.
STANDARD_TIERS = frozenset(
    {"", "auto", "default", "standard", "standard_only", "on_demand", "flex", "scale", "unspecified"}
)
DEARER_TIERS = frozenset({"priority", "fast"})
# By how many percent of the list price a call's tokens are billed where it is bound to a region; fees stay as they are.
# Source: Anthropic's "Pricing", data residency, read 2026-11-21. OpenAI-compatible callers have no such field.
REGION_PERCENT: Mapping[str, int] = {"us": 110}


def split_tier(service_tier: str) -> tuple[str, str]:
    """Take a tier such as ``fast-us`` or ``us`` apart: the tier itself, and the region or nothing."""
    tier, _, region = service_tier.rpartition("-")
    return (tier, region) if region in REGION_PERCENT else (service_tier, "")


def tier_to_quote(asked: str | None, param: str) -> str:
    """Return the tier to quote at: a dearer one if asked for, else standard, which cheaper ones may fall to.

    Raises: RequestShapeError for one that nobody knows: it may be dearer than any that is.
    """
    tier = (asked or "").lower()
    if tier in DEARER_TIERS:
        return tier
    if tier in STANDARD_TIERS:
        return ""
    known = ", ".join(sorted(filter(None, STANDARD_TIERS | DEARER_TIERS)))
    raise RequestShapeError(f"what {param} {asked!r} costs is not known; known are {known}", param)


def regional(price: Price, region: str) -> Price:
    """Return a price as it is where a call is bound to a region; each rate is rounded up."""
    if not region:
        return price
    percent = REGION_PERCENT[region]
    return replace(
        price,
        price_id=f"{price.price_id}+{region}",
        rates={bucket: _scaled(rate, percent) for bucket, rate in price.rates.items()},
    )


def _scaled(rate: Rate, percent: int) -> Rate:
    tiers = tuple((above, ceil_div(dearer * percent, 100)) for above, dearer in rate.tiers)
    return Rate(ceil_div(rate.nanousd_per_mtok * percent, 100), tiers)


# For calls that a provider bills nothing for, such as counting tokens.
FREE = Price(
    "free", "", "", {"input": Rate(0), "output": Rate(0)}, source="the provider bills nothing for it"
)
