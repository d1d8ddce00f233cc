from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.anthropic_bound import UNBOUNDED, bound_messages
from metering.errors import RequestShapeError, Uncountable
from metering.quote import TEXT_BUCKETS, BoundClass
from metering.tokens import count
from tests.metering.messages import body, bound, request

TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
SCHEMA = {"type": "json_schema", "schema": {"type": "object"}}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def fitted(*pieces: Any) -> int:
    """The published bound over some pieces of ASCII JSON."""
    texts = [compact(piece) for piece in pieces]
    thirds = -(-sum(map(len, texts)) // 3)
    return max(thirds, -(-sum(count(text, "o200k_base") for text in texts) * 140 // 100)) + 40


# Claude ------------------------------------------------------------------------------------------------------


def test_plain_text_is_bounded_by_the_fit() -> None:
    found = bound(content="hello there", system="Be brief.")
    assert found.tokens == fitted("Be brief.", {"role": "user", "content": "hello there"})
    assert found.bound_class is BoundClass.EMPIRICAL
    assert (found.image_tokens, found.audio_tokens) == (0, 0)


def test_tools_and_a_schema_add_their_json_and_a_prompt_of_their_own() -> None:
    message = {"role": "user", "content": "hi"}
    assert bound(tools=[TOOL]).tokens == fitted(message, TOOL) + 700
    config = {"output_config": {"format": SCHEMA}}
    assert bound(**config).tokens == fitted(message, config) + 200
    assert bound(output_format=SCHEMA).tokens == fitted(message, {"output_format": SCHEMA}) + 200
    assert bound(tools=[], output_config={}).tokens == bound().tokens


def test_a_tool_that_anthropic_defines_and_the_caller_runs_has_a_surcharge() -> None:
    plain = bound(tools=[{"type": "custom", "name": "bash"}]).tokens
    assert plain < bound(tools=[{"type": "bash_20250124", "name": "bash"}]).tokens <= plain + 410
    assert bound(tools=[{"type": "memory_20250818", "name": "memory"}]).tokens > 1577


def test_letters_of_other_scripts_count_two_thirds_of_their_bytes() -> None:
    text = "数字" * 300
    assert bound(content=text).tokens >= 2 * len(text) + 40
    assert bound(content=text).tokens < 2 * len(text) + 80


@given(st.text(), st.text())
def test_more_text_is_never_bounded_lower(first: str, second: str) -> None:
    assert bound(content=first).tokens <= bound(content=[{"type": "text", "text": first + second}]).tokens + 1


def test_long_messages_and_tools_are_counted_once_and_remembered() -> None:
    tools = [TOOL | {"description": "weather " * 200}]
    first = bound(content="word " * 500, tools=tools)
    assert bound(content="word " * 500, tools=tools) == first
    assert bound("claude-opus-5", "word " * 500, tools=tools) == first


@pytest.mark.parametrize(
    ("mark", "buckets"),
    [
        (None, ("input",)),
        ({"type": "ephemeral"}, ("input", "cache_read", "cache_write_5m")),
        ({"type": "ephemeral", "ttl": "5m"}, ("input", "cache_read", "cache_write_5m")),
        ({"type": "ephemeral", "ttl": "1h"}, TEXT_BUCKETS),
        ("what", TEXT_BUCKETS),
    ],
)
def test_only_what_is_marked_is_quoted_as_cached(mark: Any, buckets: tuple[str, ...]) -> None:
    marked = {"type": "text", "text": "hi", "cache_control": mark}
    inside = [{"type": "tool_result", "tool_use_id": "t", "content": [marked]}]
    for fields in (
        {"content": [marked]}, {"system": [marked]}, {"tools": [TOOL | {"cache_control": mark}]},
        {"cache_control": mark}, {"content": inside},
    ):  # fmt: skip
        assert bound(**fields).text_buckets == buckets


def test_citations_have_a_prompt_of_their_own_once() -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Facts."}}
    plain = bound(content=[document, document]).tokens
    cited = document | {"citations": {"enabled": True}}
    assert 1000 <= bound(content=[cited, cited]).tokens - plain <= 1040
    assert bound(content=[document | {"citations": {"enabled": False}}]).tokens < plain


FILE = {"type": "document", "source": {"type": "file", "file_id": "f"}}


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        *(({name: [{"a": 1}]}, name) for name in UNBOUNDED),
        ({"mcp_servers": [{"type": "url", "url": "u"}]}, "mcp_servers[0]"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015"}, 7]}}, "context_management.edits[1]"),
        ({"context_management": {"edits": "all"}}, "context_management.edits[0]"),
        ({"context_management": ["compact"]}, "context_management.edits[0]"),
        ({"tools": [TOOL, {"type": "web_search_20250305", "name": "w"}]}, "tools[1].web_search_20250305"),
        ({"tools": [{"type": "code_execution_20260120"}]}, "tools[0].code_execution_20260120"),
        ({"tools": [{"type": "novel_20270101", "max_uses": 2}]}, "tools[0].novel_20270101"),
        ({"tools": [{"type": ["odd"]}]}, "tools[0].['odd']"),
        ({"content": [{"type": "novel", "id": "s"}]}, "messages[0].content[0].novel"),
        ({"content": [FILE]}, "messages[0].content[0].source.file"),
    ],
)  # fmt: skip
def test_a_part_without_a_bound_is_refused_by_name(fields: dict[str, Any], part: str) -> None:
    with pytest.raises(Uncountable) as caught:
        bound(**fields)
    assert caught.value.part == part
    with pytest.raises(Uncountable):
        bound("kimi-k2", **fields)


def test_a_region_that_has_a_price_is_no_obstacle() -> None:
    assert bound(inference_geo="us") == bound()


def test_edits_that_shorten_the_prompt_are_no_obstacle() -> None:
    edits = [{"type": "clear_tool_uses_20250919"}, {"type": "clear_thinking_20251015"}]
    assert bound(context_management={"edits": edits}, mcp_servers=[], inference_geo="global") == bound()
    assert bound(context_management={}) == bound()


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": ["hi"]},
        {"messages": [{"content": "hi"}]},
        {"content": 7},
        {"content": ["hi"]},
        {"content": [{"text": "hi"}]},
        {"tools": "all"},
        {"tools": {"a": 1}},
        {"tools": [7]},
        {"system": 7},
    ],
)
def test_a_part_of_no_known_shape_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestShapeError):
        bound(**fields)


def test_a_field_that_stands_twice_within_a_message_is_refused() -> None:
    from metering.anthropic import bound_messages, decode_messages

    content = body().replace(b'"content": "hi"', b'"content": "hi", "content": "much more"')
    with pytest.raises(RequestShapeError, match="given twice"):
        bound_messages(decode_messages(content))


# Other models ------------------------------------------------------------------------------------------------


def test_a_simulated_model_is_counted_by_its_published_rule() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "seven eight"}]}
    messages = [
        {"role": "user", "content": "one two"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "not counted"}, {"type": "tool_use"}],
        },
        {"role": "user", "content": [{"type": "text", "text": "three four five"}, result]},
        {"role": "user"},
        {"role": "user", "content": [{"type": "tool_result", "content": "nine"}, {"type": "text"}]},
    ]
    system = [{"type": "text", "text": "be brief"}]
    config = {"effort": "low"}
    found = bound("sim-mini", messages=messages, system=system, tools=[TOOL], output_config=config)
    beside = len(compact([TOOL])) + len(compact(config))
    assert found.tokens == 2 + 2 + 5 * 4 + 2 + 3 + 2 + 1 + beside
    assert (found.bound_class, found.text_buckets) == (BoundClass.EXACT, TEXT_BUCKETS)


@pytest.mark.parametrize("content", [7, ["hi"], {"type": "text"}])
def test_a_simulated_models_message_must_have_a_shape(content: Any) -> None:
    with pytest.raises(RequestShapeError):
        bound("sim-mini", content)


def test_a_simulated_models_messages_are_objects() -> None:
    with pytest.raises(RequestShapeError):
        bound("sim-mini", messages=["hi"])
    deep: Any = "hi"
    for _ in range(9):
        deep = [{"type": "tool_result", "content": deep}]
    with pytest.raises(RequestShapeError):
        bound("sim-mini", deep)


def test_another_model_is_bounded_by_its_bytes() -> None:
    found = bound("kimi-k2", "hello")
    assert (found.tokens, found.bound_class) == (len(body("kimi-k2", "hello")) + 512, BoundClass.HARD)
    assert found.text_buckets == TEXT_BUCKETS
    with_tools = body("kimi-k2", "hello", tools=[TOOL])
    assert bound("kimi-k2", "hello", tools=[TOOL]).tokens == len(with_tools) + 512 + 1024


@pytest.mark.parametrize("kind", ["image", "document"])
def test_another_models_media_have_no_bound(kind: str) -> None:
    with pytest.raises(Uncountable, match="not known"):
        bound("kimi-k2", [{"type": kind, "source": {"type": "text", "data": "hi"}}])


def test_claudes_name_says_nothing_where_somebody_else_serves_it() -> None:
    own = bound_messages(request("claude-sonnet-4-5", "hello"))
    elsewhere = bound_messages(request("claude-sonnet-4-5", "hello"), provider="my-server")
    assert (own.bound_class, elsewhere.bound_class) == (BoundClass.EMPIRICAL, BoundClass.HARD)
    assert elsewhere.tokens == len(body("claude-sonnet-4-5", "hello")) + 512
    assert bound_messages(request("sim-mini", "hello"), provider="my-server").bound_class is BoundClass.EXACT
