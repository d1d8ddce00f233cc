"""Gemini's usage reports: the prompt with its cache, thoughts, tools, sound, pictures, and parts left out."""

from __future__ import annotations

from typing import Any

import pytest

from metering.base_prices import find_base
from metering.cost import all_pictures, cost_of
from metering.errors import UsageError
from metering.gemini import prompt_from_gemini, usage_from_gemini
from metering.quote import quote_for
from metering.usage import Usage
from tests.metering.gemini import bound, cap

AT_MS = 1_793_500_000_000


def share(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": kind, "tokenCount": count} for kind, count in tokens.items()]


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        (
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 4,
                "totalTokenCount": 16,
            },
            Usage(input_tokens=9, output_tokens=3, reasoning_tokens=4),
        ),
        ({"promptTokenCount": 9}, Usage(input_tokens=9)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 4}, Usage(input_tokens=5, cache_read_tokens=4)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 40}, Usage(cache_read_tokens=9)),
        (
            {"promptTokenCount": 9, "toolUsePromptTokenCount": 70, "totalTokenCount": 79},
            Usage(input_tokens=79),
        ),
        (
            {"candidatesTokenCount": 1, "thoughtsTokenCount": 153, "totalTokenCount": 450},
            Usage(input_tokens=296, output_tokens=1, reasoning_tokens=153),
        ),
        ({"promptTokenCount": 9, "totalTokenCount": 12}, Usage(input_tokens=9, reasoning_tokens=3)),
        (
            {"promptTokenCount": 30, "promptTokensDetails": share(TEXT=5, AUDIO=10, IMAGE=8, VIDEO=7)},
            Usage(input_tokens=5, audio_input_tokens=10, image_input_tokens=15),
        ),
        ({"promptTokenCount": 7, "promptTokenDetails": share(IMAGE=7)}, Usage(image_input_tokens=7)),
        ({"promptTokenCount": 7, "promptTokensDetails": share(AUDIO=9)}, Usage(audio_input_tokens=7)),
        (
            {
                "promptTokenCount": 30,
                "cachedContentTokenCount": 20,
                "promptTokensDetails": share(TEXT=10, IMAGE=20),
                "cacheTokensDetails": share(TEXT=8, IMAGE=12),
            },
            Usage(input_tokens=2, cache_read_tokens=20, image_input_tokens=8),
        ),
        (
            {
                "promptTokenCount": 30,
                "cachedContentTokenCount": 20,
                "promptTokensDetails": share(TEXT=10, AUDIO=20),
                "cacheTokensDetails": share(TEXT=8, AUDIO=12),
            },
            Usage(input_tokens=2, cache_read_tokens=8, audio_input_tokens=20),
        ),
        (
            {"promptTokenCount": 1, "candidatesTokenCount": 9, "candidatesTokensDetails": share(AUDIO=8)},
            Usage(input_tokens=1, output_tokens=1, audio_output_tokens=8),
        ),
        (
            {"promptTokenCount": 1, "promptTokensDetails": [{"modality": 1, "tokenCount": 1}, 7]},
            Usage(input_tokens=1),
        ),
        ({"promptTokenCount": 0, "totalTokenCount": 0}, Usage()),
    ],
)
def test_a_report_is_decomposed(report: dict[str, Any], usage: Usage) -> None:
    assert usage_from_gemini(report) == usage


@pytest.mark.parametrize("report", [None, {}, {"trafficType": "ON_DEMAND"}])
def test_what_counts_nothing_is_no_report(report: dict[str, Any] | None) -> None:
    assert usage_from_gemini(report) is None
    assert prompt_from_gemini(report) is None


@pytest.mark.parametrize(
    "report",
    [
        {"candidatesTokenCount": 3},
        {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 11},
        {"promptTokenCount": -1},
        {"promptTokenCount": "many"},
    ],
)
def test_what_cannot_be_true_is_an_error(report: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        usage_from_gemini(report)


def test_searches_are_counted_by_generation() -> None:
    report = {"promptTokenCount": 1}
    one, each = (
        usage_from_gemini(report, queries=3, model=name) for name in ("gemini-2.5-pro", "gemini-3-pro")
    )
    assert one is not None
    assert each is not None
    assert (one.extras, each.extras) == ((("web_search", 1),), (("web_search", 3),))


def test_a_prompt_is_known_before_the_answer_is() -> None:
    report = {"promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": 2}
    assert prompt_from_gemini({**report, "toolUsePromptTokenCount": 3}) == Usage(
        input_tokens=8, cache_read_tokens=4
    )


def test_sound_without_a_price_of_its_own_costs_what_text_does() -> None:
    pro, flash = (find_base("google", model, AT_MS) for model in ("gemini-2.5-pro", "gemini-2.5-flash"))
    assert pro is not None
    assert flash is not None
    assert pro.rates["audio_input"] == pro.rates["input"]
    assert pro.rates["audio_output"] == pro.rates["output"]
    assert flash.rates["audio_input"].nanousd_per_mtok > flash.rates["input"].nanousd_per_mtok


IMAGE_MODEL = "gemini-2.5-flash-image"


def test_a_picture_is_billed_as_one_and_the_text_beside_it_as_text() -> None:
    price = find_base("google", IMAGE_MODEL, AT_MS)
    assert price is not None
    told = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1304,
        "candidatesTokensDetails": share(IMAGE=1290),
    }
    painted = usage_from_gemini(told, pictured=True)
    assert painted == Usage(input_tokens=10, output_tokens=14, extras=(("image_output_token", 1290),))
    assert painted.all_output_tokens == 1304
    assert cost_of(painted, price) == 10 * 300 + 14 * 2_500 + 1290 * 30_000
    written = usage_from_gemini({"promptTokenCount": 18, "candidatesTokenCount": 48})
    assert written is not None
    assert cost_of(written, price) == 125_400


def test_a_picture_whose_share_is_not_told_is_all_of_the_answer() -> None:
    told = {"promptTokenCount": 10, "candidatesTokenCount": 1304}
    assert usage_from_gemini(told, pictured=True) == Usage(
        input_tokens=10, extras=(("image_output_token", 1304),)
    )


def test_a_call_that_may_paint_is_quoted_as_if_all_of_it_were_pictures() -> None:
    price = find_base("google", IMAGE_MODEL, AT_MS)
    assert price is not None
    quote = quote_for(bound(IMAGE_MODEL), cap(IMAGE_MODEL, maxOutputTokens=4000), price)
    assert quote.cost.at_cap - quote.cost.least == 4000 * 30_000


def test_what_is_not_told_apart_elsewhere_is_billed_as_pictures() -> None:
    price, plain = (find_base("google", model, AT_MS) for model in (IMAGE_MODEL, "gemini-2.5-flash"))
    assert price is not None
    assert plain is not None
    usage = Usage(input_tokens=1, output_tokens=5, reasoning_tokens=2)
    pictures = Usage(input_tokens=1, reasoning_tokens=2, extras=(("image_output_token", 5),))
    assert all_pictures(usage, price) == pictures
    assert all_pictures(pictures, price) == pictures
    assert all_pictures(usage, plain) == usage
