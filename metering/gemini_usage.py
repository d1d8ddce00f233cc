"""Gemini's usage reports, as disjoint buckets.

Its prompt holds what came from the cache, and leaves out what its own tools put in; thoughts are beside the answer.
The total is a witness: it completes a report that leaves a part out. Absent is not zero: no report is None, a report
that cannot be true is an error, so that the caller charges at the hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from metering.errors import UsageError
from metering.gemini_models import searches_billed
from metering.rates import IMAGE_OUTPUT
from metering.usage import Usage
from metering.usage_openai import read_counter

Report = Mapping[str, Any]

_PARTS = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
_PROMPT_DETAILS = ("promptTokensDetails", "promptTokenDetails")  # embeddings say it in the singular
_PICTURES = ("IMAGE", "VIDEO")


def usage_from_gemini(
    report: Report | None, *, queries: int = 0, model: str = "", pictured: bool = False
) -> Usage | None:
    """Decompose a ``usageMetadata``; None where it counts nothing.

    ``queries`` is how many searches the answer tells of, billed by the model's generation; ``pictured`` whether it
    holds pictures, which is what all of it is taken for where its shares are not told. Raises: UsageError.
    """
    if not report:
        return None
    counts = [read_counter(report, name) for name in _PARTS]
    total = read_counter(report, "totalTokenCount")
    if total is None and all(count is None for count in counts):
        return None
    prompt, candidates, thoughts, found = _complete(counts, total)
    searches = searches_billed(model, queries)
    return _decompose(report, (prompt, candidates, thoughts, found), searches, pictured=pictured)


def prompt_from_gemini(report: Report | None) -> Usage | None:
    """The prompt's side alone, as a stream tells it before its end; None where it tells none. Raises: UsageError."""
    if not report or read_counter(report, "promptTokenCount") is None:
        return None
    prompt = read_counter(report, "promptTokenCount") or 0
    return _decompose(report, (prompt, 0, 0, read_counter(report, "toolUsePromptTokenCount") or 0), 0)


def _complete(counts: list[int | None], total: int | None) -> tuple[int, int, int, int]:
    """Fill in the part that follows from the total; what only the total holds was generated, or it is no report."""
    prompt, candidates, thoughts, found = counts
    known = sum(count or 0 for count in counts)
    if total is None:
        if prompt is None:
            raise UsageError(
                f"candidates {candidates}, thoughts {thoughts} and no total: the prompt is missing"
            )
        return prompt, candidates or 0, thoughts or 0, found or 0
    if total < known:
        raise UsageError(f"the total of {total} tokens is less than its parts, {known}")
    if prompt is None:
        return total - known, candidates or 0, thoughts or 0, found or 0
    return prompt, candidates or 0, (thoughts or 0) + total - known, found or 0


def _decompose(
    report: Report, counts: tuple[int, int, int, int], searches: int, *, pictured: bool = False
) -> Usage:
    prompt, candidates, thoughts, found = counts
    shares = _modalities(report, _PROMPT_DETAILS)
    cached_shares = _modalities(report, ("cacheTokensDetails",))
    cached = min(read_counter(report, "cachedContentTokenCount") or 0, prompt)
    # Sound from the cache has a price of its own, above that of text, which no bucket has: it is billed as fresh.
    cached -= min(cached_shares.get("AUDIO", 0), cached)
    audio = min(shares.get("AUDIO", 0), prompt - cached)
    pictures = sum(
        shares.get(name, 0) - min(cached_shares.get(name, 0), shares.get(name, 0)) for name in _PICTURES
    )
    pictures = min(pictures, prompt - cached - audio)
    made = _modalities(report, ("candidatesTokensDetails",))
    spoken = min(made.get("AUDIO", 0), candidates)
    # Of an answer of text alone the shares are left out (recorded).
    painted = candidates if pictured and not made else min(made.get("IMAGE", 0), candidates - spoken)
    return Usage(
        input_tokens=prompt - cached - audio - pictures + found,
        cache_read_tokens=cached,
        audio_input_tokens=audio,
        image_input_tokens=pictures,
        output_tokens=candidates - spoken - painted,
        reasoning_tokens=thoughts,
        audio_output_tokens=spoken,
        extras=tuple((name, n) for name, n in ((IMAGE_OUTPUT, painted), ("web_search", searches)) if n),
    )


def _modalities(report: Report, names: Iterable[str]) -> dict[str, int]:
    """Tokens by modality, as far as they are told."""
    found: dict[str, int] = {}
    for name in names:
        listed = report.get(name)
        for share in listed if isinstance(listed, list) else []:
            if isinstance(share, Mapping) and isinstance(share.get("modality"), str):
                kind = share["modality"].upper()
                found[kind] = found.get(kind, 0) + (read_counter(share, "tokenCount") or 0)
    return found
