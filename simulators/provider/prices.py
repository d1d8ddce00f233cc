"""The simulator's own price table, and what a request costs by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Prices in nano-dollars per million tokens."""

    input_nanousd_per_mtok: int
    cached_nanousd_per_mtok: int
    output_nanousd_per_mtok: int
    cache_write_5m_nanousd_per_mtok: int = 1_250_000_000
    cache_write_1h_nanousd_per_mtok: int = 2_000_000_000


# One search made at the provider.
SEARCH_NANOUSD: Final = 10_000_000
# The first pattern that fits counts: a name is its own pattern, or a prefix where it ends in a star.
PRICES: Final[dict[str, Rate]] = {
    "sim-exact*": Rate(1_000_000_000, 250_000_000, 10_000_000_000),
    "sim-*": Rate(1_000_000_000, 250_000_000, 2_000_000_000),
}


def rate_of(model: str) -> Rate:
    """Find the rate of a model that exists."""
    return PRICES["sim-exact*" if model == "sim-exact" or model.startswith("sim-exact-") else "sim-*"]


def bill_nanousd(
    model: str, *, prompt: int, cached: int, completion: int, written: tuple[int, int] = (0, 0)
) -> int:
    """Price the tokens of one request exactly, rounded up once to the nano-dollar.

    Those read from the cache and those written to it (for 5 minutes, for an hour) are among the prompt's.
    """
    rate = rate_of(model)
    exact = (
        (prompt - cached - sum(written)) * rate.input_nanousd_per_mtok
        + cached * rate.cached_nanousd_per_mtok
        + written[0] * rate.cache_write_5m_nanousd_per_mtok
        + written[1] * rate.cache_write_1h_nanousd_per_mtok
        + completion * rate.output_nanousd_per_mtok
    )
    return -(-exact // _TOKENS_PER_PRICE)


def decimal_usd(amount_nanousd: int) -> str:
    """Write an amount as decimal dollars, with at least two places and without rounding."""
    whole, rest = divmod(amount_nanousd, 1_000_000_000)
    return f"{whole}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"


def describe(models: list[str]) -> dict[str, object]:
    """Describe the table in decimal dollars per million tokens, by pattern and for each model named."""
    return {
        "currency": "USD",
        "unit": "million tokens",
        "patterns": [{"model": pattern} | _decimals(rate) for pattern, rate in PRICES.items()],
        "models": [{"model": model} | _decimals(rate_of(model)) for model in models],
    }


def _decimals(rate: Rate) -> dict[str, str]:
    return {
        "input": decimal_usd(rate.input_nanousd_per_mtok),
        "cached_input": decimal_usd(rate.cached_nanousd_per_mtok),
        "output": decimal_usd(rate.output_nanousd_per_mtok),
        "cache_write_5m": decimal_usd(rate.cache_write_5m_nanousd_per_mtok),
        "cache_write_1h": decimal_usd(rate.cache_write_1h_nanousd_per_mtok),
    }
