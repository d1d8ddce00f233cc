"""Anthropic's recorded calls against the bound, the decomposition and the cost."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any

import pytest
from genai_prices import calc_price
from genai_prices.data import providers

from metering.allowances import NONE, Allowances
from metering.anthropic import (
    MessagesRequest,
    bound_messages,
    decode_messages,
    estimate_messages_output,
    messages_cap_for,
    usage_elsewhere,
    usage_from_anthropic,
    usage_from_stream,
)
from metering.base_prices import find_base
from metering.cost import cost_of
from metering.errors import Uncountable
from metering.money import NanoUsd
from metering.quote import BoundClass, InputBound, quote_for
from metering.usage import Usage
from tests.metering.test_recordings import _data, rows, usable

__all__ = ["_data"]  # the fixture that says aloud when there is nothing recorded

FILES = ("anthropic__v1_messages", "pydantic-gateway__anthropic_v1_messages")
MEDIA = {"images", "documents"}
AT = datetime(2026, 11, 1, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)
PROVIDER = next(one for one in providers if one.id == "anthropic")


def answered() -> Iterator[dict[str, Any]]:
    """Rows with a usage of their own."""
    return (row for row in rows(*FILES) if row["status"] == 200 and row["usage_raw"])


def whole() -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each distinct request that is whole, and its row."""
    seen = set()
    for row in filter(usable, answered()):
        content = json.dumps(row["request_body"], ensure_ascii=False).encode()
        if content not in seen:
            seen.add(content)
            yield row, content


def reported(row: dict[str, Any]) -> Usage:
    raw = row["usage_raw"]
    if "message_start" in raw:
        usage = usage_from_stream(raw["message_start"], raw["message_delta"])
    else:
        usage = usage_from_anthropic(raw)
    assert usage is not None
    return usage


def figures(ratios: list[float]) -> str:
    ordered = sorted(ratios)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10]
    under = sum(ratio < 1 for ratio in ordered)
    return f"n {len(ordered)}, under {under}, least {ordered[0]:.2f}, p50 {middle:.2f}, p90 {late:.2f}"


def kind_of(row: dict[str, Any], bound: InputBound) -> str:
    """What a row tells about: rounds at the provider, media, tools or text alone."""
    features = set(row["features"])
    if bound.rounds > 1 or bound.elsewhere or "server_tools" in features:
        return "server tools"
    return "media" if features & MEDIA else "tools" if features & {"tools", "json_schema"} else "text"


def bounded(allowances: Allowances = NONE) -> Iterator[tuple[dict[str, Any], MessagesRequest, InputBound]]:
    """Each distinct recorded request that has a bound, for a tenant with these allowances."""
    for row, content in whole():
        request = decode_messages(content)
        try:
            yield row, request, bound_messages(request, allowances=allowances)
        except Uncountable:
            continue


def test_no_recorded_call_exceeds_its_bound(record_property: pytest.RecordProperty) -> None:
    ratios = defaultdict[str, list[float]](list)
    for row, _, found in bounded():
        assert found.bound_class is BoundClass.EMPIRICAL
        ratio = found.tokens / row["usage"]["input_tokens"]
        assert ratio >= 1, (row["id"], found.tokens, row["usage"]["input_tokens"])
        kind = kind_of(row, found)
        ratios[kind].append(ratio)
        if kind in ("text", "tools") and row["usage"]["input_tokens"] > 500:
            ratios["text and tools over 500"].append(ratio)
    assert len(ratios["text"]) > 140
    assert len(ratios["tools"]) > 220
    assert len(ratios["media"]) > 90
    assert len(ratios["text and tools over 500"]) > 180
    ratios["text and tools"] = ratios["text"] + ratios["tools"]
    for kind, found_ratios in sorted(ratios.items()):
        record_property(kind, figures(found_ratios))
    assert median(ratios["text and tools"]) < 1.75
    assert median(ratios["text and tools over 500"]) < 1.5


# What a tenant might allow; the largest that any one use added in these recordings is below each.
ALLOWED = Allowances(
    {"web_search": 25_000, "web_fetch": 10_000, "code_execution": 5_000, "mcp": 5_000, "server_tool": 5_000}
)


def test_no_recorded_call_with_tools_at_anthropic_exceeds_its_bound(
    record_property: pytest.RecordProperty,
) -> None:
    ratios = []
    for row, _, found in bounded(ALLOWED):
        if kind_of(row, found) == "server tools":
            usage = reported(row)
            ratios.append(found.tokens / usage.all_input_tokens)
            assert ratios[-1] >= 1, (row["id"], found.tokens, usage)
            searches = dict(usage.extras).get("web_search", 0)
            assert searches <= dict(found.extras).get("web_search", 0), row["id"]
    record_property("server tools", figures(ratios))
    assert len(ratios) > 90


def test_no_recorded_call_costs_more_than_its_quote() -> None:
    compared = 0
    for row, request, bound in bounded(ALLOWED):
        price = find_base("anthropic", row["model"], AT_MS, request.quoted_tier)
        others = {one.model: find_base("anthropic", one.model, AT_MS) for one in bound.elsewhere}
        if price is None or None in others.values():
            continue
        cap = messages_cap_for(
            request, ceiling=None, default_plain=4096, default_reasoning=32_768, minimum=256
        )
        prices = {model: other for model, other in others.items() if other is not None}
        cost_nanousd = cost_of(reported(row), price)
        for model, used in usage_elsewhere(row["usage_raw"].get("message_delta") or row["usage_raw"]):
            cost_nanousd = NanoUsd(cost_nanousd + cost_of(used, prices[model]))
        assert cost_nanousd <= quote_for(bound, cap, price, elsewhere=prices).cost.at_cap, row["id"]
        compared += 1
    assert compared > 540


def test_every_recorded_report_is_decomposed_without_losing_a_token() -> None:
    decomposed = 0
    for row in answered():
        usage, told = reported(row), row["usage"]
        raw = row["usage_raw"].get("message_delta") or row["usage_raw"]
        if raw.get("iterations"):
            continue
        assert usage.all_input_tokens == told["input_tokens"]
        assert usage.all_output_tokens == told["output_tokens"]
        assert usage.cache_read_tokens == told.get("cached_input_tokens", 0)
        written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
        assert written == told.get("cache_creation_tokens", 0)
        assert usage.reasoning_tokens == (told.get("reasoning_tokens") or 0)
        assert dict(usage.extras).get("web_search", 0) == (told.get("web_search_requests") or 0)
        decomposed += 1
    assert decomposed > 700


def test_every_recorded_call_costs_what_genai_prices_works_out() -> None:
    compared = 0
    for row in answered():
        raw = row["usage_raw"]
        merged = {**raw["message_start"], **raw["message_delta"]} if "message_start" in raw else raw
        price = find_base("anthropic", row["model"], AT_MS, "")
        if price is None or merged.get("iterations"):
            continue
        _, theirs = PROVIDER.extract_usage({"model": row["model"], "usage": merged})
        total = calc_price(
            theirs, row["model"], provider_id="anthropic", genai_request_timestamp=AT
        ).total_price
        # Theirs are exact fractions of a dollar, ours are rounded up once to the nano-dollar.
        assert 0 <= cost_of(reported(row), price) - total * 10**9 < 1, row["id"]
        compared += 1
    assert compared > 700


def relayed(stream: str) -> tuple[str, int, bool]:
    """What a stream shows: its text and tool calls, how many of these, and whether it thought."""
    pieces, calls, thought = [], 0, False
    for line in stream.splitlines():
        event = json.loads(line[5:]) if line.startswith("data:") else {}
        block, delta = event.get("content_block") or {}, event.get("delta") or {}
        calls += block.get("type") == "tool_use"
        thought |= "thinking" in block.get("type", "")
        pieces += [block.get("name", ""), delta.get("text", ""), delta.get("partial_json", "")]
    return "".join(pieces), calls, thought


def test_a_stream_without_usage_is_seldom_estimated_too_low(record_property: pytest.RecordProperty) -> None:
    ratios = []
    for row in answered():
        if not row["stream"] or {"server_tools"} & set(row["features"]) or row["response_body_trimmed"]:
            continue
        text, calls, thought = relayed(row["response_body"])
        actual = reported(row)
        if not thought and not actual.reasoning_tokens:
            ratios.append(estimate_messages_output(text, tool_calls=calls) / actual.all_output_tokens)
    record_property("estimates", figures(ratios))
    assert len(ratios) > 80
    assert sum(ratio < 1 for ratio in ratios) <= 0.02 * len(ratios)


def asked_for(body: dict[str, Any]) -> str:
    """What of a request its prompt is made of, in one spelling."""
    names = ("model", "messages", "system", "tools", "tool_choice", "thinking")
    return json.dumps({name: body.get(name) for name in names}, sort_keys=True)


def test_anthropics_own_count_is_what_it_bills() -> None:
    counts = {
        asked_for(row["request_body"]): row["response_body"]["input_tokens"]
        for row in rows("anthropic__v1_messages_count_tokens")
        if row["status"] == 200
    }
    pairs = 0
    for row in filter(usable, answered()):
        counted = counts.get(asked_for(row["request_body"]))
        if counted is None:
            continue
        request = decode_messages(json.dumps(row["request_body"]).encode())
        found = bound_messages(request, counted_tokens=counted)
        assert found.bound_class is BoundClass.EXACT
        assert 1 <= found.tokens / row["usage"]["input_tokens"] <= 1.10, row["id"]
        pairs += 1
    assert pairs >= 4
