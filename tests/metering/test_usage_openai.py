from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import UsageError
from metering.usage import Usage
from metering.usage_openai import usage_from_openai, usage_from_timings


def test_overlapping_counters_become_disjoint_buckets() -> None:
    report = {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "total_tokens": 1500,
        "prompt_tokens_details": {
            "cached_tokens": 300,
            "cache_write_tokens": 200,
            "audio_tokens": 50,
            "image_tokens": 40,
            "video_tokens": 10,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 320,
            "audio_tokens": 30,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    assert usage_from_openai(report) == Usage(
        input_tokens=400,
        cache_read_tokens=300,
        cache_write_5m_tokens=200,
        audio_input_tokens=50,
        image_input_tokens=50,
        output_tokens=150,
        reasoning_tokens=320,
        audio_output_tokens=30,
    )


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Report(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Details | None = None


def test_a_struct_reads_like_a_dictionary() -> None:
    assert usage_from_openai(_Report(10, 5, _Details(4))) == Usage(
        input_tokens=6, cache_read_tokens=4, output_tokens=5
    )
    assert usage_from_openai(_Report(10, 5)) == Usage(input_tokens=10, output_tokens=5)


@pytest.mark.parametrize(
    "report", [None, {}, {"cost": 0.1}, {"prompt_tokens": None, "completion_tokens": None}]
)
def test_no_report_is_none_and_not_zero(report: dict[str, Any] | None) -> None:
    assert usage_from_openai(report) is None


def test_a_reported_zero_is_zero() -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert usage_from_openai(zeros) == Usage()


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        # Azure: more cached than the prompt has.
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 161}},
            Usage(cache_read_tokens=10, output_tokens=2),
        ),
        # OpenRouter: more reasoning than the completion has.
        (
            {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": 9, "audio_tokens": None},
            },
            Usage(input_tokens=1, reasoning_tokens=2),
        ),
        # DeepSeek, Together, Mistral: cached tokens by other names and places; null details.
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_cache_hit_tokens": 4,
                "prompt_cache_miss_tokens": 5,
            },
            Usage(input_tokens=5, cache_read_tokens=4, output_tokens=1),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4, "prompt_tokens_details": None},
            Usage(input_tokens=5, cache_read_tokens=4, output_tokens=1),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 4},
            Usage(input_tokens=5, cache_read_tokens=4, output_tokens=1),
        ),
        # Writer: details in the singular. Together: reasoning at the top.
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 7,
                "reasoning_tokens": 3,
                "prompt_token_details": {"cached_tokens": 2},
            },
            Usage(input_tokens=7, cache_read_tokens=2, output_tokens=4, reasoning_tokens=3),
        ),
        # Google's imitation: thinking stands in the total alone.
        (
            {"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100},
            Usage(input_tokens=66, output_tokens=6, reasoning_tokens=28),
        ),
        # Embeddings: no completion. A prompt left out follows from the total.
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8)),
        ({"completion_tokens": 8, "total_tokens": 10}, Usage(input_tokens=2, output_tokens=8)),
        # Responses, and servers that count in floats.
        (
            {"input_tokens": 8.0, "output_tokens": 2.0, "input_tokens_details": {"cached_tokens": 3}},
            Usage(input_tokens=5, cache_read_tokens=3, output_tokens=2),
        ),
        # Sound and pictures among the cached are billed as cached.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 5, "image_tokens": 3},
            },
            Usage(cache_read_tokens=6, audio_input_tokens=4),
        ),
        (
            {
                "prompt_tokens": 1,
                "completion_tokens": 0,
                "server_tool_use_details": {"web_search_requests": 2},
            },
            Usage(input_tokens=1, extras=(("web_search", 2),)),
        ),
    ],
)
def test_what_providers_really_send_is_understood(report: dict[str, Any], usage: Usage) -> None:
    assert usage_from_openai(report) == usage


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ({"prompt_tokens": -1, "completion_tokens": 2}, "-1"),
        ({"prompt_tokens": 1.5, "completion_tokens": 2}, "no count"),
        ({"prompt_tokens": True, "completion_tokens": 2}, "no count"),
        ({"prompt_tokens": "12", "completion_tokens": 2}, "no count"),
        ({"prompt_tokens": 10**9, "completion_tokens": 2}, "no call"),
        ({"prompt_tokens": float("nan"), "completion_tokens": 2}, "no count"),
        ({"prompt_tokens": float("inf"), "completion_tokens": 2}, "no count"),
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 5}, "less than its parts"),
        ({"prompt_tokens": 10}, "missing"),
        ({"total_tokens": 10}, "no part"),
    ],
)
def test_what_cannot_be_true_is_an_error(report: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        usage_from_openai(report)


counts = st.integers(0, 10_000)
details = st.none() | st.fixed_dictionaries(
    {},
    optional={
        name: st.none() | counts
        for name in (
            "cached_tokens",
            "cache_write_tokens",
            "audio_tokens",
            "image_tokens",
            "reasoning_tokens",
        )
    },
)


@given(prompt=counts, completion=counts, beside=counts, into=details, out=details)
def test_no_token_is_lost_or_counted_twice(
    prompt: int, completion: int, beside: int, into: dict[str, int] | None, out: dict[str, int] | None
) -> None:
    usage = usage_from_openai(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion + beside,
            "prompt_tokens_details": into,
            "completion_tokens_details": out,
        }
    )
    assert usage is not None
    assert usage.all_input_tokens == prompt
    assert usage.all_output_tokens == completion + beside
    assert all(count >= 0 for _, count in usage.tokens())


def test_what_only_the_total_counts_is_sound_where_the_provider_leaves_that_out() -> None:
    report = {"prompt_tokens": 5, "completion_tokens": 20, "total_tokens": 400, "prompt_audio_seconds": 30}
    assert usage_from_openai(report, total_beyond="prompt_audio") == Usage(
        input_tokens=5, audio_input_tokens=375, output_tokens=20
    )
    assert usage_from_openai(report) == Usage(input_tokens=5, output_tokens=20, reasoning_tokens=375)


@pytest.mark.parametrize(
    ("timings", "usage"),
    [
        (
            {"prompt_n": 40, "cache_n": 3, "predicted_n": 25},
            Usage(input_tokens=40, cache_read_tokens=3, output_tokens=25),
        ),
        ({"prompt_n": 40, "predicted_n": 25.0}, Usage(input_tokens=40, output_tokens=25)),
        ({"prompt_n": 40}, None),
        ({"predicted_n": 40}, None),
        ({}, None),
    ],
)
def test_llama_cpps_own_counters_are_disjoint_already(timings: dict[str, Any], usage: Usage | None) -> None:
    assert usage_from_timings(timings) == usage
