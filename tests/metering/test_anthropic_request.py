from __future__ import annotations

import json
from typing import Any

import pytest

from metering.anthropic_request import Thinking, decode_counted_model, decode_messages, given
from metering.errors import RequestShapeError
from tests.metering.messages import body, request


def test_only_what_is_needed_is_read() -> None:
    found = request(stream=True, metadata={"user_id": "u"}, top_k=5, unheard_of={"a": 1}, body_bytes=1)
    assert (found.model, found.max_tokens, found.stream) == ("claude-sonnet-4-5", 100, True)
    assert found.body_bytes == len(
        body(stream=True, metadata={"user_id": "u"}, top_k=5, unheard_of={"a": 1}, body_bytes=1)
    )


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"[]", None),
        (b'{"model": "claude"', None),
        (b'{"model": "\xff"}', None),
        (b'{"messages": [1]}', None),
        (b'{"model": "", "messages": [1]}', "model"),
        (b'{"model": "claude", "messages": []}', "messages"),
        (b'{"model": "claude", "messages": "hi"}', "messages"),
        (b'{"model": "claude", "messages": [1], "max_tokens": 0}', "max_tokens"),
        (b'{"model": "claude", "messages": [1], "max_tokens": 1.5}', "max_tokens"),
        (b'{"model": "claude", "messages": [1], "max_tokens": 9, "max_tokens": 1}', "max_tokens"),
        (b'{"model": "claude", "messages": [1], "Max_Tokens": 9}', "Max_Tokens"),
        (b'{"model": "%b", "messages": [1]}' % (b"m" * 257), "model"),
        (b'{"model": "claude", "messages": [1], "x": %b}' % (b"[" * 5_000 + b"]" * 5_000), None),
        (b'{"model": "claude", "messages": [1], "thinking": []}', "thinking"),
        (b'{"model": "claude", "messages": [1], "thinking": {"type": 1}}', "thinking"),
        (b'{"model": "claude", "messages": [1], "thinking": {"budget_tokens": -1}}', "thinking"),
        (b'{"model": "claude", "messages": [1], "thinking": {"budget_tokens": true}}', "thinking"),
    ],
)
def test_a_malformed_request_names_the_field(content: bytes, param: str | None) -> None:
    with pytest.raises(RequestShapeError) as caught:
        decode_messages(content)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (None, Thinking()),
        ({"type": "disabled", "budget_tokens": 5}, Thinking("disabled")),
        ({"type": "adaptive", "display": "summarized"}, Thinking("adaptive")),
        ({"type": "enabled", "budget_tokens": 1024}, Thinking("enabled", 1024)),
    ],
)
def test_thinking_is_read_with_its_budget(thinking: Any, expected: Thinking) -> None:
    assert request(thinking=thinking).thinking == expected


@pytest.mark.parametrize(
    ("model", "thinking", "thinks"),
    [
        ("claude-sonnet-4-5", None, False),
        ("claude-opus-4-8", None, False),
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 1024}, True),
        ("claude-opus-4-8", {"type": "adaptive"}, True),
        ("claude-sonnet-5", None, True),
        ("anthropic/claude-haiku-5-5", None, True),
        ("claude-5-opus", None, True),
        ("claude-sonnet-5", {"type": "disabled"}, False),
        ("sim-reasoning-50", None, True),
        ("sim-mini", None, False),
    ],
)
def test_a_model_thinks_when_asked_to_or_by_itself(model: str, thinking: Any, thinks: bool) -> None:
    assert request(model, thinking=thinking).thinks is thinks


@pytest.mark.parametrize(("speed", "tier"), [("fast", "fast"), ("standard", ""), (None, "")])
def test_a_dearer_speed_is_quoted_as_a_tier(speed: str | None, tier: str) -> None:
    assert request(speed=speed).quoted_tier == tier


def test_the_answers_format_stands_in_either_field() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    assert request(output_config={"format": wanted}).schema == wanted
    assert request(output_format=wanted).schema == wanted
    assert request(output_config={"effort": "low"}).schema is None
    with pytest.raises(RequestShapeError, match="output_config must be an object"):
        assert request(output_config=[1]).schema


@pytest.mark.parametrize(
    ("choice", "forced"),
    [(None, False), ({"type": "auto"}, False), ({"type": "none"}, False), ({"type": "any"}, True)],
)
def test_a_tool_is_forced_by_any_and_by_name(choice: Any, forced: bool) -> None:
    assert request(tool_choice=choice).forces_tool is forced
    assert request(tool_choice={"type": "tool", "name": "f"}).forces_tool


def test_an_empty_field_is_none() -> None:
    for value in (None, [], {}):
        assert not given(request(tools=value).tools)
    assert given(request(tools=[{}]).tools)
    assert json.loads(body())["max_tokens"] == 100


def test_a_count_names_its_model_and_nothing_else_is_read() -> None:
    assert decode_counted_model(b'{"model":"claude-x","messages":7}') == "claude-x"
    for odd in (b"{", b'{"model":""}', b'{"model":"a","model":"b"}', b'{"messages":[]}'):
        with pytest.raises(RequestShapeError):
            decode_counted_model(odd)
