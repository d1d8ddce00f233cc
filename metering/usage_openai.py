"""OpenAI-style usage reports, decomposed into disjoint buckets.

Its counters overlap (cached, audio and picture tokens are among the prompt's, reasoning among the completion's), go
by several names, and providers that imitate it leave parts out. Absent is not zero: no report is None, a report that
cannot be true is an error, so that the caller charges at the hold instead of at nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.errors import UsageError
from metering.usage import Usage

# More than any context holds: a counter above it is an error of the provider's, not a call.
COUNTER_TOKENS_MAX = 10_000_000

_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details", "completion_token_details")
# Cached tokens: inside the details, or at the top (DeepSeek, Together and Hugging Face, Mistral). One of them.
_CACHE_READ = ("cached_tokens", "cache_read_input_tokens")
_CACHE_READ_TOP = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
_CACHE_WRITE = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
_SERVER_TOOLS = ("server_tool_use", "server_tool_use_details")


def usage_from_openai(
    raw: Mapping[str, Any] | msgspec.Struct | None, *, total_beyond: str = ""
) -> Usage | None:
    """Decompose a usage object; None when it reports nothing.

    ``total_beyond`` says what a provider leaves to the total alone: ``prompt_audio`` (Mistral), else it was generated.
    Raises: UsageError when it cannot be true.
    """
    report = msgspec.to_builtins(raw) if isinstance(raw, msgspec.Struct) else raw
    if not report:
        return None
    prompt, completion, total = (
        _first(report, _PROMPT),
        _first(report, _COMPLETION),
        read_counter(report, "total_tokens"),
    )
    if prompt is None and completion is None:
        if total:
            raise UsageError(f"{total} tokens in all are reported, and no part of them")
        return None
    prompt, completion, beside = _complete(prompt, completion, total)
    audio = 0
    if total_beyond == "prompt_audio":
        audio, beside = beside, 0
    bought = _decompose_prompt(prompt, _details(report, _PROMPT_DETAILS), report)
    bought["audio_input_tokens"] += audio
    made = _decompose_completion(completion, _details(report, _COMPLETION_DETAILS), report, beside)
    searches = _first(_details(report, _SERVER_TOOLS), ("web_search_requests",))
    return Usage(**bought, **made, extras=(("web_search", searches),) if searches else ())


def usage_from_timings(timings: Mapping[str, Any]) -> Usage | None:
    """Decompose llama.cpp's own counters, which it sends unasked; None when they report nothing.

    ``prompt_n`` is what was read anew, ``cache_n`` what was kept (recorded beside usage in 77 answers, equal in all).
    Raises: UsageError when they cannot be true.
    """
    prompt, completion = read_counter(timings, "prompt_n"), read_counter(timings, "predicted_n")
    if prompt is None or completion is None:
        return None
    return Usage(
        input_tokens=prompt,
        cache_read_tokens=read_counter(timings, "cache_n") or 0,
        output_tokens=completion,
    )


def _complete(prompt: int | None, completion: int | None, total: int | None) -> tuple[int, int, int]:
    """Fill in the part that follows from the total, and find tokens that stand in the total alone."""
    known = (prompt or 0) + (completion or 0)
    if total is None:
        if prompt is None or completion is None:
            raise UsageError(f"prompt {prompt}, completion {completion} and no total: a part is missing")
        return prompt, completion, 0
    if total < known:
        raise UsageError(f"the total of {total} tokens is less than its parts, {prompt} and {completion}")
    if prompt is None:
        return total - known, known, 0
    if completion is None:
        return prompt, total - known, 0
    # Google's imitation leaves thinking out of the completion, xAI's too. Whatever it is, it was billed.
    return prompt, completion, total - known


def _decompose_prompt(prompt: int, details: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, int]:
    cached = _first(details, _CACHE_READ)
    if cached is None:
        cached = _first(report, _CACHE_READ_TOP)
    cached = min(cached or 0, prompt)  # Azure has reported 161 cached of a prompt of 10
    written = min(_first(details, _CACHE_WRITE) or 0, prompt - cached)
    # What is left is fresh. Sound and pictures beyond it must be among the cached, and are billed as such.
    fresh = prompt - cached - written
    audio = min(read_counter(details, "audio_tokens") or 0, fresh)
    pictures = (read_counter(details, "image_tokens") or 0) + (read_counter(details, "video_tokens") or 0)
    pictures = min(pictures, fresh - audio)
    return {
        "input_tokens": fresh - audio - pictures,
        "cache_read_tokens": cached,
        "cache_write_5m_tokens": written,
        "audio_input_tokens": audio,
        "image_input_tokens": pictures,
    }


def _decompose_completion(
    completion: int, details: Mapping[str, Any], report: Mapping[str, Any], beside: int
) -> dict[str, int]:
    made = completion + beside
    audio = min(read_counter(details, "audio_tokens") or 0, made)
    reasoning = read_counter(details, "reasoning_tokens")
    if reasoning is None:
        reasoning = read_counter(report, "reasoning_tokens") or 0
    reasoning = min(max(reasoning, beside), made - audio)
    return {
        "output_tokens": made - audio - reasoning,
        "reasoning_tokens": reasoning,
        "audio_output_tokens": audio,
    }


def _details(report: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        details = report.get(name)
        if isinstance(details, Mapping):
            return details
    return {}


def _first(report: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        count = read_counter(report, name)
        if count is not None:
            return count
    return None


def read_counter(report: Mapping[str, Any], name: str) -> int | None:
    """Read one counter; None where it is absent. Raises: UsageError for what cannot be a count."""
    value = report.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise UsageError(f"{name} is {value!r}, which is no count")
    if not 0 <= value <= COUNTER_TOKENS_MAX:
        raise UsageError(f"{name} is {value}, which no call can have used")
    return int(value)
