from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.chat_request import decode_chat, parse_unique
from metering.errors import RequestShapeError
from tests.metering.chats import body, request


def test_what_the_bound_and_the_cap_need_is_read() -> None:
    read = request(
        max_tokens=7, n=3, stream=True, stream_options={"include_usage": True}, service_tier="priority", x=[1]
    )
    assert (read.model, read.max_tokens, read.choices, read.stream) == ("gpt-4o-mini", 7, 3, True)
    assert read.include_usage
    assert (read.quoted_tier, read.cap_field) == ("priority", "max_tokens")
    assert read.body_bytes == len(
        body(
            max_tokens=7,
            n=3,
            stream=True,
            stream_options={"include_usage": True},
            service_tier="priority",
            x=[1],
        )
    )


def test_absent_and_null_are_alike() -> None:
    for read in (
        request(),
        request(
            max_tokens=None, n=None, stream=None, stream_options=None, response_format=None, tool_choice=None
        ),
    ):
        assert (read.max_tokens, read.choices, read.include_usage, read.answer_type) == (None, 1, False, "")
        assert not read.forces_tool
        assert not read.wants_audio


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_completion_tokens": 5}, "max_completion_tokens"),
        ({"max_tokens": 5}, "max_tokens"),
        ({}, "max_completion_tokens"),
        ({"model": "sim-exact"}, "max_tokens"),
    ],
)
def test_a_cap_is_written_in_the_callers_spelling(fields: dict[str, Any], expected: str) -> None:
    assert request(**fields).cap_field == expected


@pytest.mark.parametrize(("tier", "quoted"), [("flex", ""), ("auto", ""), ("fast", "fast"), (None, "")])
def test_a_cheaper_tier_is_quoted_at_standard(tier: str | None, quoted: str) -> None:
    assert request(service_tier=tier).quoted_tier == quoted


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_forced_tool_is_seen(choice: Any) -> None:
    assert request(tool_choice=choice).forces_tool
    assert request(function_call=choice).forces_tool
    assert not request(tool_choice="auto", function_call="none").forces_tool


def test_the_type_of_the_answer_is_read() -> None:
    assert request(response_format={"type": "json_schema", "json_schema": {}}).answer_type == "json_schema"
    assert request(response_format={"type": 7}).answer_type == ""
    assert request(response_format="text").answer_type == ""


def test_a_spoken_answer_is_seen() -> None:
    assert request(modalities=["text", "audio"]).wants_audio
    assert request(audio={"voice": "alloy", "format": "wav"}).wants_audio
    assert not request(modalities=["text"]).wants_audio


@pytest.mark.parametrize(
    ("content", "param", "why"),
    [
        (b"", None, "no chat request"),
        (b"\xff\xfe", None, "no chat request"),
        (b"[]", None, "Expected"),
        (b'{"messages":[]}', None, "model"),
        (b'{"model":"m"}', None, "messages"),
        (b'{"model":"","messages":[{}]}', "model", "model"),
        (b'{"model":"m","messages":[]}', "messages", "at least one"),
        (b'{"model":"m","messages":"hi"}', "messages", "array"),
        (b'{"model":7,"messages":[{}]}', "model", "str"),
        (b'{"model":"%b","messages":[{}]}' % (b"m" * 257), "model", "<= 256"),
        (b'{"model":"m","messages":[{}],"x":%b}' % (b"[" * 5_000 + b"]" * 5_000), None, "recursion"),
        (b'{"model":"m","messages":[{}],"max_tokens":0}', "max_tokens", ">= 1"),
        (b'{"model":"m","messages":[{}],"max_tokens":"7"}', "max_tokens", "int"),
        (b'{"model":"m","messages":[{}],"max_completion_tokens":1.5}', "max_completion_tokens", "int"),
        (b'{"model":"m","messages":[{}],"n":0}', "n", ">= 1"),
        (b'{"model":"m","messages":[{}],"n":129}', "n", "<= 128"),
        (
            b'{"model":"m","messages":[{}],"max_tokens":1,"max_completion_tokens":1}',
            "max_tokens",
            "same time",
        ),
        (b'{"model":"m","messages":[{}],"modalities":[7]}', "modalities[0]", "str"),
    ],
)
def test_what_is_no_chat_request_is_refused_by_its_field(content: bytes, param: str | None, why: str) -> None:
    with pytest.raises(RequestShapeError, match=why) as refused:
        decode_chat(content)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "content",
    [
        b'{"model":"m","messages":[{}],"n":1,"n":9}',
        b'{"n": 9, "model": "m", "messages": [{}], "n": 1}',
        # The doubled field takes just the room that the other spacing would have left.
        b'{"n":10,"model":"m","messages":[{}],"n":9,"a":1}',
        b'{"model":"m","messages":[{}],"n":1,"\\u006e":9}',
        b'{ "model":"m","messages":[{}],"max_tokens":1,\n"max_tokens":900000 }',
        b'{"model":"m","messages":[{}],"metadata":{"a":1,"a":2},"x" :1}',
    ],
)
def test_a_field_given_twice_is_refused(content: bytes) -> None:
    with pytest.raises(RequestShapeError, match="twice"):
        decode_chat(content)


@pytest.mark.parametrize("name", ["N", "Max_Tokens", "TOOLS", "Best_Of", "\u017fervice_tier"])
def test_a_field_in_other_letters_is_refused(name: str) -> None:
    """A server that reads names whatever their case would see a request that was never bounded."""
    with pytest.raises(RequestShapeError, match="must be written") as refused:
        decode_chat(json.dumps({"model": "m", "messages": [{}], name: 9}).encode())
    assert refused.value.param == name


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
def test_any_spacing_is_read(separators: tuple[str, str]) -> None:
    fields = {"model": "m", "messages": [{"role": "user", "content": "é\n"}], "größe": 1, "n": 2}
    for ascii_only in (True, False):
        content = json.dumps(fields, separators=separators, ensure_ascii=ascii_only).encode()
        assert decode_chat(content).choices == 2


def test_a_body_cannot_say_how_long_it_is() -> None:
    assert request(body_bytes=1).body_bytes == len(body(body_bytes=1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(
    fields=st.dictionaries(st.text(max_size=6), json_values, max_size=4), twice=st.booleans(), data=st.data()
)
def test_doubled_fields_are_found_wherever_they_stand(
    fields: dict[str, Any], twice: bool, data: st.DataObject
) -> None:
    pairs = [("model", "m"), ("messages", [{}]), *((f"x{name}", value) for name, value in fields.items())]
    if twice:
        pairs.insert(data.draw(st.integers(0, len(pairs))), data.draw(st.sampled_from(pairs)))
    comma, colon = data.draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    written = [f"{json.dumps(k)}{colon}{json.dumps(v, separators=(comma, colon))}" for k, v in pairs]
    content = f"{{{comma.join(written)}}}".encode()
    if twice:
        with pytest.raises(RequestShapeError, match="twice"):
            decode_chat(content)
    else:
        assert decode_chat(content).model == "m"


def test_json_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(RequestShapeError, match=r"tools is no valid JSON") as refused:
        parse_unique(b"[" * 100_000, "tools")
    assert refused.value.param == "tools"
    with pytest.raises(RequestShapeError, match="the body is no valid JSON"):
        parse_unique(b"{", None)
