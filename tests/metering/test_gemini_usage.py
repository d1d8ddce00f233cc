"""Gemini's usage reports: the prompt with its cache, thoughts, tools, sound, pictures, and parts left out."""

from __future__ import annotations

from typing import Any

import pytest

from metering.base_prices import find_base
from metering.errors import UsageError
from metering.gemini import prompt_from_gemini, usage_from_gemini
from metering.usage import Usage

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
