"""Every recorded answer of an OpenAI-like provider, read as the proxy reads it, beside the recordings' own usage."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from metering.providers import canonical_provider
from proxy.providers.base import Report, Traits
from proxy.providers.openai_answers import ChatTap, read_answer
from proxy.providers.openai_wire import TRAITS

DATA = Path(os.environ.get("FAREBOX_DATA", Path(__file__).parents[3] / "shared" / "data")) / "recordings"


@pytest.fixture(scope="module", autouse=True)
def _data() -> None:
    if not DATA.is_dir():
        pytest.skip(f"no recorded calls at {DATA}: set FAREBOX_DATA")


@cache
def answers() -> list[dict[str, Any]]:
    """Every recorded chat whose answer is whole and is one that this dialect has."""
    paths = [*DATA.glob("*chat_completions.jsonl.gz"), *DATA.glob("pollinations*")]
    return [
        row
        for path in sorted(paths)
        for row in map(json.loads, gzip.open(path))
        if row["response_encoding"] in ("sse", "json") and not row["response_body_trimmed"]
    ]


def by_id(row_id: str) -> dict[str, Any]:
    found = next((row for row in answers() if row["id"] == row_id), None)
    if found is None:
        pytest.skip(f"{row_id} is not among the rows here")
    return found


def report_of(row: dict[str, Any]) -> Report:
    """What the proxy makes of a recorded answer, a stream in pieces of 1,000 bytes."""
    traits = TRAITS.get(canonical_provider(row["provider"]), Traits())
    if row["response_encoding"] == "json":
        return read_answer(json.dumps(row["response_body"]).encode(), traits)
    tap = ChatTap(strip_usage=False, traits=traits)
    raw = row["response_body"].encode()
    passed = b"".join(tap.feed(raw[at : at + 1_000]) for at in range(0, len(raw), 1_000)) + tap.finish()
    assert passed == raw
    return tap.report()


def differing() -> Iterator[tuple[str, str]]:
    for row in answers():
        usage, found = row["usage"], report_of(row).usage
        if not usage:
            if found is not None:
                yield row["provider"], "found"
        elif found is None:
            yield row["provider"], "missed"
        elif (found.all_input_tokens, found.all_output_tokens) != (
            usage["input_tokens"],
            usage.get("output_tokens") or 0,
        ):
            yield row["provider"], "different"


def test_usage_is_what_the_recordings_say() -> None:
    assert len(answers()) > 3_000
    # Cerebras counts 2 to 5 tokens in the total alone. llama.cpp's streams report nothing but its own counters.
    assert Counter(differing()) == {("cerebras", "different"): 4, ("llamacpp", "found"): 73}


@pytest.mark.parametrize(
    ("row_id", "prompt_tokens"),
    [
        ("rec_f08dbe879d1e03527832", None),  # OpenAI's stream that nobody asked for usage
        ("rec_f93cfc783e05c5388c80", 0),  # null in every chunk, then one with usage
        ("rec_2ca3271c281918585758", 0),  # a null after it
        ("rec_5f23903b32c18a6fafc1", 0),  # x_groq
        ("rec_b6642153fb83b737ea30", 0),  # opens with prompt_filter_results
        ("rec_0976ef617f58e30c81ba", 43),  # llama.cpp's timings
        ("rec_70b1797a17d1a79429e8", None),  # an error after content
        ("rec_28e72723071780b856e1", None),  # an error, and nothing else
        ("rec_70ec2ef531b32ec80e66", None),  # an error in an answer with status 200
    ],
)
def test_usage_is_found_wherever_it_stands(row_id: str, prompt_tokens: int | None) -> None:
    row = by_id(row_id)
    report = report_of(row)
    if prompt_tokens is None:
        assert report.usage is None
        assert report.error_inside or report.text
        return
    assert report.usage is not None
    assert report.usage.all_input_tokens == (prompt_tokens or row["usage"]["input_tokens"])


def test_errors_inside_an_answer_are_seen() -> None:
    for row_id in ("rec_70b1797a17d1a79429e8", "rec_28e72723071780b856e1", "rec_70ec2ef531b32ec80e66"):
        assert report_of(by_id(row_id)).error_inside


@pytest.mark.parametrize(
    ("providers", "mark", "least"),
    [
        (("openai",), '"obfuscation"', 50),  # padding, which is no measure of tokens
        (("openrouter",), ": OPENROUTER PROCESSING", 30),
        (("mistral", "deepseek", "cerebras", "groq"), '"finish_reason":"stop"', 100),  # usage beside choices
        (("perplexity", "baseten"), '"usage"', 50),  # in every chunk
    ],
)
def test_streams_of_every_habit_are_read(providers: tuple[str, ...], mark: str, least: int) -> None:
    streams = [
        row
        for row in answers()
        if row["provider"] in providers
        and row["response_encoding"] == "sse"
        and mark in row["response_body"]
        and row["usage"]
    ]
    assert len(streams) >= least
    for row in streams:
        usage = report_of(row).usage
        assert usage is not None
        assert usage.all_input_tokens in (
            row["usage"]["input_tokens"],
            row["usage"].get("input_tokens_reported"),
        )


def test_usage_in_every_chunk_is_cumulative() -> None:
    summed = 0
    for row in answers():
        if row["provider"] == "perplexity" and row["response_encoding"] == "sse" and row["usage"]:
            reported = row["response_body"].count('"usage"')
            usage = report_of(row).usage
            assert usage is not None
            assert usage.all_output_tokens == row["usage"]["output_tokens"]
            assert "[DONE]" not in row["response_body"]
            summed += reported > 2
    assert summed > 40


def test_tokens_that_were_cached_are_found_under_every_name() -> None:
    """Inside the details, or at the top by the names of DeepSeek, of Together and Hugging Face, of Mistral."""
    found = Counter(
        row["provider"]
        for row in answers()
        if row["usage"] and (row["usage"].get("cached_input_tokens") or 0) > 0
    )
    assert found.keys() >= {"openai", "deepseek", "mistral", "groq", "xiaomi"}
    for row in answers():
        cached = (row["usage"] or {}).get("cached_input_tokens")
        if cached:
            usage = report_of(row).usage
            assert usage is not None
            assert usage.cache_read_tokens == min(cached, usage.all_input_tokens), row["id"]
