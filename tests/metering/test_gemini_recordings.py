"""Gemini's recorded calls, of Google's own host and of Vertex, against the bound, the decomposition and the cost."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices import calc_price
from genai_prices.data import providers

from metering.base_prices import find_base
from metering.cost import cost_of
from metering.errors import Uncountable, UsageError
from metering.gemini import bound_embed, bound_gemini, decode_gemini, gemini_cap_for, usage_from_gemini
from metering.quote import BoundClass, InputBound, quote_for
from metering.usage import Usage
from tests.metering.test_recordings import DATA, _data, rows, usable

__all__ = ["_data"]  # the fixture that says aloud when there is nothing recorded

AT = datetime(2026, 11, 1, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)
PROVIDER = next(one for one in providers if one.id == "google")
MEDIA = ("inlineData", "inline_data", "fileData", "file_data")
# Reports that cannot be read, and why: a recording edited by hand that has neither a prompt nor a total.
UNREADABLE = {"rec_a3c73cec37e952a356c8", "rec_07ab1e7f1b337f549e6e"}


def of_routes(*methods: str) -> Iterator[dict[str, Any]]:
    """Rows of these methods that were answered."""
    for path in sorted([*DATA.glob("gemini__*"), *DATA.glob("vertex__*")]):
        if path.name.removesuffix(".jsonl.gz").endswith(methods):
            yield from (row for row in rows(path.name.removesuffix(".jsonl.gz")) if row["status"] == 200)


def generated() -> Iterator[dict[str, Any]]:
    return of_routes("_generateContent", "_streamGenerateContent")


def whole() -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each distinct request that is whole, and its row."""
    seen = set()
    for row in generated():
        if not usable(row) or not (row["usage_raw"] or {}).get("promptTokenCount"):
            continue
        content = json.dumps(row["request_body"], ensure_ascii=False).encode()
        if (content, row["model"]) not in seen:
            seen.add((content, row["model"]))
            yield row, content


def bound_of(row: dict[str, Any], content: bytes) -> InputBound:
    return bound_gemini(decode_gemini(content, row["model"]))


def figures(ratios: list[float]) -> str:
    ordered = sorted(ratios)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10]
    under = sum(ratio < 1 for ratio in ordered)
    return f"n {len(ordered)}, under {under}, least {ordered[0]:.2f}, p50 {middle:.2f}, p90 {late:.2f}"


def kinds_of(row: dict[str, Any], content: bytes) -> set[str]:
    """The features that a bound is judged by."""
    text = content.decode()
    kinds = {"media"} if any(name in text for name in MEDIA) else {"all but media"}
    if "all but media" in kinds:
        signed = "thoughtSignature" in text or "thought_signature" in text
        tools = "unctionDeclarations" in text or "function_declarations" in text
        kinds |= {"signatures" if signed else "tools" if tools else "text"}
        kinds |= (
            {"schema"} if "chema" in json.dumps(row["request_body"].get("generationConfig") or {}) else set()
        )
        kinds |= {"over 500 tokens"} if row["usage_raw"]["promptTokenCount"] > 500 else set()
    return kinds


def test_no_recorded_call_exceeds_its_bound(record_property: pytest.RecordProperty) -> None:
    ratios = defaultdict[str, list[float]](list)
    refused = 0
    for row, content in whole():
        try:
            found = bound_of(row, content)
        except Uncountable:
            refused += 1
            continue
        assert found.bound_class is BoundClass.EMPIRICAL
        ratio = found.tokens / row["usage_raw"]["promptTokenCount"]
        assert ratio >= 1, (row["id"], found.tokens, row["usage_raw"])
        for kind in kinds_of(row, content):
            ratios[kind].append(ratio)
    for kind, found_ratios in sorted(ratios.items()):
        record_property(kind, figures(found_ratios))
    record_property("refused as uncountable", refused)
    assert len(ratios["all but media"]) > 330
    assert len(ratios["media"]) > 20
    assert sorted(ratios["all but media"])[len(ratios["all but media"]) // 2] <= 2.0


def test_no_kind_of_media_exceeds_its_own_bound() -> None:
    compared = 0
    for row, content in whole():
        try:
            found = bound_of(row, content)
        except Uncountable:
            continue
        usage = usage_from_gemini(row["usage_raw"])
        assert usage is not None
        assert usage.audio_input_tokens <= found.audio_tokens, row["id"]
        # What came from the cache may be pictures too; the bound has them all.
        assert usage.image_input_tokens <= found.image_tokens, row["id"]
        compared += bool(found.audio_tokens or found.image_tokens)
    assert compared > 20


def test_no_recorded_call_costs_more_than_its_quote() -> None:
    compared = 0
    for row, content in whole():
        request = decode_gemini(content, row["model"])
        price = find_base("google", row["model"], AT_MS)
        try:
            bound = bound_gemini(request)
        except Uncountable:
            continue
        if price is None:
            continue
        defaults = {"default_plain": 4096, "default_reasoning": 32_768, "minimum": 256}
        cap = gemini_cap_for(request, ceiling=None, **defaults)
        usage = usage_from_gemini(row["usage_raw"])
        assert usage is not None
        assert cost_of(usage, price) <= quote_for(bound, cap, price).cost.at_cap, row["id"]
        compared += 1
    assert compared > 330


def reported(row: dict[str, Any]) -> Usage | None:
    return usage_from_gemini(row["usage_raw"])


def test_every_recorded_report_is_decomposed_without_losing_a_token() -> None:
    decomposed = 0
    for row in of_routes("enerateContent", "mbedContent", "EmbedContents"):
        told = row["usage"]
        if row["id"] in UNREADABLE:
            with pytest.raises(UsageError):
                reported(row)
            continue
        usage = reported(row)
        if not told:
            assert usage is None
            continue
        assert usage is not None, row["id"]
        assert usage.all_input_tokens == told["input_tokens"], row["id"]
        assert usage.all_output_tokens == told["output_tokens"], row["id"]
        assert usage.reasoning_tokens == (told.get("reasoning_tokens") or 0), row["id"]
        cached_sound = told.get("cached_audio_tokens") or _cached_sound(row)
        assert usage.cache_read_tokens == (told.get("cached_input_tokens") or 0) - cached_sound, row["id"]
        assert usage.audio_input_tokens == (told.get("audio_input_tokens") or 0), row["id"]
        decomposed += 1
    assert decomposed > 840


def _cached_sound(row: dict[str, Any]) -> int:
    shares = row["usage_raw"].get("cacheTokensDetails") or []
    return sum(share["tokenCount"] for share in shares if share["modality"] == "AUDIO")


def test_every_recorded_call_costs_what_genai_prices_works_out() -> None:
    compared = 0
    for row in generated():
        raw = row["usage_raw"]
        price = find_base("google", row["model"], AT_MS)
        # It leaves out what a total alone tells, and what tools put into the prompt.
        told = raw.get("promptTokenCount") and not raw.get("toolUsePromptTokenCount")
        named = all(isinstance(one["modality"], str) for one in raw.get("promptTokensDetails") or ())
        if price is None or not told or not named or _cached_sound(row):
            continue
        document = {"modelVersion": row["model"], "usageMetadata": raw, "candidates": []}
        _, theirs = PROVIDER.extract_usage(document)
        total = calc_price(theirs, row["model"], provider_id="google", genai_request_timestamp=AT).total_price
        usage = reported(row)
        assert usage is not None
        # Theirs are exact fractions of a dollar, ours are rounded up once to the nano-dollar.
        assert 0 <= cost_of(usage, price) - total * 10**9 < 1, row["id"]
        compared += 1
    assert compared > 600


def test_what_is_embedded_never_exceeds_its_bound() -> None:
    compared = 0
    for row in of_routes("mbedContent", "EmbedContents"):
        if not row["usage_raw"] or not row["usage"]:
            continue
        needed = "requests" if "requests" in row["request_body"] else "content"
        request = decode_gemini(json.dumps(row["request_body"]).encode(), row["model"], needed=needed)
        try:
            found = bound_embed(request)
        except Uncountable:
            continue
        assert found.tokens >= row["usage"]["input_tokens"], row["id"]
        compared += 1
    assert compared > 10
