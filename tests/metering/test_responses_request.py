from __future__ import annotations

import json
from typing import Any

import pytest

from metering.errors import RequestShapeError
from metering.responses_request import decode_compact, decode_input_tokens_model, decode_responses
from tests.metering.responses import body, request


def test_what_matters_is_read() -> None:
    read = request("gpt-5", max_output_tokens=40, stream=True, service_tier="priority", max_tool_calls=3)
    assert (read.model, read.max_output_tokens, read.max_tool_calls) == ("gpt-5", 40, 3)
    assert (read.stream, read.quoted_tier, read.compacts) == (True, "priority", False)
    assert read.body_bytes == len(
        body("gpt-5", max_output_tokens=40, stream=True, service_tier="priority", max_tool_calls=3)
    )


@pytest.mark.parametrize("tier", [None, "flex", "auto", "default"])
def test_a_cheaper_tier_is_quoted_at_the_standard_one(tier: str | None) -> None:
    assert request(service_tier=tier).quoted_tier == ""


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, ""),
        ({"text": None}, ""),
        ({"text": {"verbosity": "low"}}, ""),
        ({"text": "short"}, ""),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "json_schema"),
    ],
)
def test_the_format_of_the_answer(fields: dict[str, Any], wanted: str) -> None:
    assert request(**fields).answer_format.get("type", "") == wanted


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        (None, False),
        ("auto", False),
        ("none", False),
        ("required", True),
        ({"type": "function", "name": "f"}, True),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, False),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, True),
    ],
)
def test_a_forced_tool(choice: Any, forced: bool) -> None:
    assert request(tool_choice=choice).forces_tool is forced


@pytest.mark.parametrize(
    ("reasoning", "several"),
    [(None, False), ({"effort": "high"}, False), ({"mode": "standard"}, False), ({"mode": "pro"}, True)],
)
def test_thinking_in_several_runs(reasoning: Any, several: bool) -> None:
    assert request(reasoning=reasoning).thinks_in_parallel is several


def test_a_background_answer_is_refused_with_a_way_out() -> None:
    with pytest.raises(RequestShapeError, match="ask for 'stream'") as raised:
        request(background=True)
    assert raised.value.param == "background"
    assert request(background=False).background is False


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"input":"hi"}', None),
        (b'{"model":"","input":"hi"}', "model"),
        (b'{"model":"gpt-5","max_output_tokens":0}', "max_output_tokens"),
        (b'{"model":"gpt-5","max_tokens":5}', "max_tokens"),
        (b'{"model":"gpt-5","max_completion_tokens":5}', "max_completion_tokens"),
        (b'{"model":"gpt-5","n":5}', "n"),
        (b'{"model":"gpt-5","model":"gpt-4"}', "model"),
        (b'{"model":"gpt-5","Model":"gpt-4"}', "Model"),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_what_is_no_request_is_refused(raw: bytes, param: str | None) -> None:
    with pytest.raises(RequestShapeError) as raised:
        decode_responses(raw)
    assert raised.value.param == param


def test_a_body_cannot_say_what_is_ours_to_say() -> None:
    read = decode_responses(json.dumps({"model": "m", "body_bytes": 1, "kind": "compact"}).encode())
    assert read.body_bytes > 20
    assert not read.compacts


def test_a_compaction_is_whole_and_at_once() -> None:
    assert decode_compact(body()).compacts
    for name in ("stream", "background"):
        with pytest.raises(RequestShapeError) as raised:
            decode_compact(body(**{name: True}))
        assert raised.value.param == name


def test_a_count_needs_a_model_alone() -> None:
    assert decode_input_tokens_model(b'{"model":"gpt-5","input":5}') == "gpt-5"
    for raw in (b'{"input":"hi"}', b'{"model":""}', b'{"model":"a","model":"b"}'):
        with pytest.raises(RequestShapeError):
            decode_input_tokens_model(raw)
