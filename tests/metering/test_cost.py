from __future__ import annotations

from typing import Any

import pytest

from metering.cost import cost_of, extra_nanousd
from metering.errors import UnpricedModel
from metering.rates import Price, Rate
from metering.usage import Usage

TIERED = Price(
    "p1",
    "openai",
    "long",
    {
        "input": Rate(2_500_000_000, ((272_000, 5_000_000_000),)),
        "cache_read": Rate(250_000_000, ((272_000, 500_000_000),)),
        "output": Rate(15_000_000_000, ((272_000, 22_500_000_000),)),
    },
    extras_nanousd={"web_search": 10_000_000},
    per_request_nanousd=7,
)


def _ten_of(bucket: str) -> Usage:
    counts: dict[str, Any] = {f"{bucket}_tokens": 10}
    return Usage(**counts)


def test_every_bucket_has_its_own_rate() -> None:
    rates = {
        "input": Rate(1_000_000),
        "cache_read": Rate(10_000_000),
        "cache_write_5m": Rate(100_000_000),
        "cache_write_1h": Rate(1_000_000_000),
        "output": Rate(10_000_000_000),
        "reasoning": Rate(100_000_000_000),
        "audio_input": Rate(1_000_000_000_000),
        "audio_output": Rate(10_000_000_000_000),
        "image_input": Rate(100_000_000_000_000),
    }
    usage = Usage(
        input_tokens=1,
        cache_read_tokens=2,
        cache_write_5m_tokens=3,
        cache_write_1h_tokens=4,
        output_tokens=5,
        reasoning_tokens=6,
        audio_input_tokens=7,
        audio_output_tokens=8,
        image_input_tokens=9,
    )
    assert cost_of(usage, Price("p", "x", "y", rates)) == 987_654_321


@pytest.mark.parametrize(
    ("bucket", "rate_nanousd"),
    [
        ("cache_read", 2_000_000),
        ("cache_write_5m", 2_000_000),
        ("cache_write_1h", 2_000_000),
        ("audio_input", 2_000_000),
        ("image_input", 2_000_000),
        ("reasoning", 5_000_000),
        ("audio_output", 5_000_000),
    ],
)
def test_a_bucket_without_a_rate_is_billed_as_what_it_is_a_kind_of(bucket: str, rate_nanousd: int) -> None:
    price = Price("p", "x", "y", {"input": Rate(2_000_000), "output": Rate(5_000_000)})
    assert cost_of(_ten_of(bucket), price) == 10 * rate_nanousd // 1_000_000


def test_a_long_lived_cache_write_is_billed_as_a_short_lived_one_first() -> None:
    price = Price("p", "x", "y", {"input": Rate(1_000_000), "cache_write_5m": Rate(3_000_000)})
    assert cost_of(Usage(cache_write_1h_tokens=10), price) == 30


def test_the_whole_call_is_billed_at_the_tier_its_prompt_reaches() -> None:
    below = Usage(input_tokens=272_000, output_tokens=1)
    above = Usage(input_tokens=272_000, cache_read_tokens=1, output_tokens=1)
    assert cost_of(below, TIERED) == 272_000 * 2500 + 15_000 + 7
    assert cost_of(above, TIERED) == 272_000 * 5000 + 500 + 22_500 + 7


def test_a_row_is_rounded_up_once() -> None:
    price = Price("p", "x", "y", {"input": Rate(300_000), "output": Rate(300_000)})
    assert cost_of(Usage(input_tokens=1, output_tokens=1), price) == 1
    assert cost_of(Usage(input_tokens=2, output_tokens=2), price) == 2


def test_extras_are_billed_by_the_unit() -> None:
    assert cost_of(Usage(extras=(("web_search", 3), ("unheard_of", 0))), TIERED) == 30_000_007
    assert extra_nanousd(TIERED, "web_search") == 10_000_000


def test_what_has_no_price_is_never_free() -> None:
    price = Price("p", "x", "y", {"input": Rate(1)})
    with pytest.raises(UnpricedModel, match="x/y"):
        cost_of(Usage(output_tokens=1), price)
    with pytest.raises(UnpricedModel, match="y:image"):
        cost_of(Usage(extras=(("image", 1),)), price)
