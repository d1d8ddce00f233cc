from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import chat_messages
from metering.chat_bound import UNBOUNDED
from metering.errors import RequestShapeError, Uncountable
from metering.model_families import family_of, image_rule_of
from metering.openai_chat import bound_chat, decode_chat
from metering.quote import BoundClass
from metering.tokens import byte_bound, count
from tests.metering.chats import body, bound, request

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Plain text on models of the documented framing -------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["gpt-4o-mini", "gpt-4.1-nano-2025-04-14", "chatgpt-4o-latest", "ft:gpt-4o:acme::1"]
)
def test_plain_text_is_counted_exactly(model: str) -> None:
    found = bound(model, [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}])
    assert (found.tokens, found.bound_class) == (3 + 4 + 3 + 4 + 1, BoundClass.EXACT)
    assert found.text_buckets == ("input", "cache_read", "cache_write_5m")


def test_the_older_encoding_counts_the_older_models() -> None:
    text = "Übergrößenträger 数字数字"
    expected = 3 + 3 + 1 + count(text, "cl100k_base")
    assert bound("gpt-3.5-turbo", text).tokens == bound("gpt-4", text).tokens == expected


def test_a_name_and_parts_are_counted() -> None:
    named = [{"role": "user", "name": "alice", "content": [{"type": "text", "text": "hi"}]}]
    assert bound(messages=named).tokens == 3 + 1 + 1 + 3 + 1 + count("alice", "o200k_base")
    assert bound(messages=named).bound_class is BoundClass.EXACT
    odd = [{"role": "user", "name": 7, "content": None}]
    assert bound(messages=odd).bound_class is BoundClass.EMPIRICAL


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["system", "user", "assistant", "developer"]),
                "content": st.text(max_size=900),
            },
            optional={"name": st.text(min_size=1, max_size=9)},
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_documented_formula_holds_cached_or_not(messages: list[dict[str, str]]) -> None:
    expected = 3
    for message in messages:
        expected += 3 + sum(count(value, "o200k_base") for value in message.values())
        expected += 1 if "name" in message else 0
    assert bound(messages=messages).tokens == bound(messages=messages).tokens == expected
    # An upper bound of the same messages on a model without documented framing, and by their bytes, is above.
    assert bound("gpt-5", messages).tokens > expected
    assert bound("llama-3", messages).tokens > expected


def test_a_text_that_is_only_bounded_is_not_called_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.tokens.TEXT_CHARS_MAX", 10)
    found = bound(messages="é" * 11)
    assert found.bound_class is BoundClass.EMPIRICAL
    assert found.tokens >= 22


# What has no documented framing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["gpt-5-mini", "o3-mini", "gpt-3.5-turbo-0301", "gpt-4.5-preview", "gpt-audio"]
)
def test_other_models_are_bounded_from_above(model: str) -> None:
    found = bound(model)
    assert found.bound_class is BoundClass.EMPIRICAL
    assert found.tokens >= 8 + 1


def test_tools_and_schemas_stand_in_the_prompt() -> None:
    plain = bound().tokens
    tools = bound(tools=[TOOL])
    assert tools.bound_class is BoundClass.EMPIRICAL
    assert tools.tokens >= plain + count(compact([TOOL]), "o200k_base") + 16
    assert bound("gpt-5", tools=[TOOL]).tokens > tools.tokens + 70
    assert bound(functions=[TOOL["function"]]).tokens > plain + 16
    schema = bound(response_format=SCHEMA)
    assert schema.bound_class is BoundClass.EMPIRICAL
    assert schema.tokens >= plain + count(compact(SCHEMA), "o200k_base") + 16


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_an_answers_format_without_a_schema_costs_nothing(kind: str) -> None:
    assert bound(response_format={"type": kind}) == bound()


def test_a_tools_result_is_counted_as_it_is_shown() -> None:
    result = '{"html": "<a href=\\"x\\">\\n</a>"}' * 50
    raw = bound(messages=[{"role": "assistant", "content": result, "refusal": None, "x": None}]).tokens
    shown = bound(messages=[{"role": "tool", "tool_call_id": "call_1", "content": result}]).tokens
    assert count(json.dumps(result), "o200k_base") > count(result, "o200k_base")
    assert shown > raw


def test_earlier_calls_are_counted() -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Ulm"}'},
    }
    custom = {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "ls"}}
    first = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    own = count("get_weather", "o200k_base") + count('{"city":"Ulm"}', "o200k_base")
    assert bound(messages=first).tokens >= 3 + 3 + 1 + own + 12
    both = [{"role": "assistant", "content": None, "tool_calls": [call, custom]}]
    assert bound(messages=both).tokens >= bound(messages=first).tokens + 12
    odd = [{"role": "assistant", "content": None, "tool_calls": [call, "what?"]}]
    assert bound(messages=odd).tokens >= bound(messages=first).tokens + 12
    legacy = [{"role": "assistant", "content": None, "function_call": call["function"]}]
    assert bound(messages=legacy).tokens == bound(messages=first).tokens
    wrong = [{"role": "assistant", "content": None, "tool_calls": {"a": 1}}]
    assert bound(messages=wrong).tokens > 6


def test_a_field_of_unknown_framing_is_counted_whole() -> None:
    thought = "so I think " * 40
    plain = bound(messages=[{"role": "assistant", "content": "x"}]).tokens
    found = bound(messages=[{"role": "assistant", "content": "x", "reasoning_content": thought}])
    assert found.tokens >= plain + count(thought, "o200k_base")
    assert found.bound_class is BoundClass.EMPIRICAL
    listed = bound(messages=[{"role": "assistant", "content": "x", "annotations": [{"url": thought}]}])
    assert listed.tokens >= plain + count(thought, "o200k_base")


def test_a_refused_part_is_text() -> None:
    parts = [{"type": "refusal", "refusal": "I will not."}, {"type": "text", "text": "but"}]
    assert bound(messages=[{"role": "assistant", "content": parts}]).bound_class is BoundClass.EMPIRICAL


# Pictures -----------------------------------------------------------------------------------------------------


def picture(url: str = "https://example.com/cat.png", **rest: Any) -> list[dict[str, Any]]:
    part = {"type": "image_url", "image_url": {"url": url, **rest}}
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?" + " " * 600}, part]}]


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4o", 85 + 8 * 170),
        ("gpt-4o-mini", 2833 + 8 * 5667),
        ("gpt-4.1-mini", 2489),
        ("o3", 75 + 8 * 150),
        ("o4-mini", 2642),
        ("gpt-5", 70 + 8 * 140),
        ("gpt-5.6-sol", 12_000),
        ("gpt-5.4-nano", 24_600),
    ],
)
def test_a_picture_of_unknown_size_costs_the_most_it_can(model: str, tokens: int) -> None:
    found = bound(model, picture())
    assert (found.image_tokens, found.bound_class) == (tokens, BoundClass.EMPIRICAL)
    assert found.tokens > tokens
    assert bound(model, picture()) == found


def test_detail_and_the_short_form_of_a_picture_are_read() -> None:
    assert bound("gpt-4o", picture(detail="low")).image_tokens == 85
    short = [{"role": "user", "content": [{"type": "image_url", "image_url": "https://example.com/a.png"}]}]
    assert bound("gpt-4o", short).image_tokens == 1445


def test_the_same_words_with_a_picture_cost_by_model() -> None:
    """Counts are remembered by family, pictures are not."""
    assert bound("gpt-4o", picture()).image_tokens != bound("gpt-4o-mini", picture()).image_tokens


@pytest.mark.parametrize("model", ["gpt-3.5-turbo", "o1-mini", "llama-3"])
def test_a_picture_on_a_model_without_a_rule_has_no_bound(model: str) -> None:
    with pytest.raises(Uncountable) as refused:
        bound(model, picture())
    assert refused.value.part == "messages[0].content[1].image_url"


def test_a_picture_without_an_address_is_refused() -> None:
    with pytest.raises(RequestShapeError, match="url"):
        bound("gpt-4o", [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])


# No bound, no call --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_field_with_a_price_that_nobody_knows_is_uncountable(name: str) -> None:
    with pytest.raises(Uncountable) as refused:
        bound("sim-exact", **{name: {}})
    assert refused.value.part == name


@pytest.mark.parametrize("model", ["gpt-4o", "llama-3"])
@pytest.mark.parametrize("kind", ["file", "input_audio", "video_url", "surprise"])
def test_a_part_without_a_bound_is_named(model: str, kind: str) -> None:
    parts = [{"type": "text", "text": "see"}, {"type": kind, kind: {"file_id": "file_1"}}]
    with pytest.raises(Uncountable) as refused:
        bound(model, [{"role": "user", "content": "x"}, {"role": "user", "content": parts}])
    assert refused.value.part == f"messages[1].content[1].{kind}"


@pytest.mark.parametrize("model", ["gpt-4o-audio-preview", "some-voice"])
def test_an_earlier_answers_sound_is_uncountable(model: str) -> None:
    with pytest.raises(Uncountable, match=r"messages\[0\]\.audio"):
        bound(model, [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}])


@pytest.mark.parametrize("ttl", [None, "5m", "1h"])
@pytest.mark.parametrize("where", ["body", "message", "part", "tool", "function"])
def test_a_prompt_cached_for_an_hour_is_uncountable(where: str, ttl: str | None) -> None:
    """OpenRouter passes Anthropic's marks on; the hour is billed at twice the input and reported like five minutes."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": ttl}}

    def marked(name: str) -> dict[str, Any]:
        return mark if name == where else {}

    parts = [{"type": "text", "text": "x", **marked("part")}]
    messages = [{"role": "user", "content": parts, **marked("message")}]
    tools = [{"type": "function", "function": {"name": "f", **marked("function")}, **marked("tool")}]
    if ttl != "1h":
        assert bound("anthropic/claude-sonnet-4.5", messages, tools=tools, **marked("body")).tokens > 0
        return
    with pytest.raises(Uncountable, match="cache_control"):
        bound("anthropic/claude-sonnet-4.5", messages, tools=tools, **marked("body"))


@pytest.mark.parametrize("model", ["gpt-4o", "llama-3"])
def test_a_tool_that_runs_at_the_provider_is_uncountable(model: str) -> None:
    with pytest.raises(Uncountable, match=r"tools\[1\]"):
        bound(model, tools=[TOOL, {"type": "web_search"}])
    with pytest.raises(Uncountable, match=r"tools\[0\]"):
        bound(model, tools=["web"])
    with pytest.raises(RequestShapeError, match="list"):
        bound(model, tools={})


@pytest.mark.parametrize(
    "model", ["gpt-4o-search-preview", "groq/compound-mini", "compound-beta", "sonar-deep-research"]
)
def test_a_model_that_goes_round_by_itself_is_uncountable(model: str) -> None:
    with pytest.raises(Uncountable, match="every round"):
        bound(model)


# Messages of no shape -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-4o", "llama-3", "sim-exact"])
@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("hi", "messages[0]"),
        ({"content": "hi"}, "messages[0]"),
        ({"role": "user", "content": 7}, "messages[0].content"),
        ({"role": "user", "content": ["hi"]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "text", "text": 7}]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"text": "hi"}]}, "messages[0].content[0]"),
    ],
)
def test_a_message_of_no_known_shape_is_refused(model: str, message: Any, param: str) -> None:
    with pytest.raises(RequestShapeError) as refused:
        bound(model, [message])
    assert refused.value.param == param


def test_a_message_with_two_contents_is_refused() -> None:
    twice = body(messages="MARK").replace(
        b'"content": "MARK"', b'"content": "a", "content": "' + b"b " * 400 + b'"'
    )
    with pytest.raises(RequestShapeError, match="'content' is given twice"):
        bound_chat(decode_chat(twice))


# Simulated and unknown models -----------------------------------------------------------------------------------


def test_the_simulators_models_count_words() -> None:
    messages = [
        {"role": "system", "content": "Be  very\nbrief"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "one two"}, {"type": "image_url", "image_url": "x"}],
        },
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    found = bound("sim-exact", messages)
    assert (found.tokens, found.bound_class) == (2 + 4 + 3 + 4 + 2 + 4, BoundClass.EXACT)
    more = bound("sim-exact-2", messages, tools=[TOOL], response_format={"type": "größe", "x": 1.5e300})
    beside = byte_bound(compact([TOOL])) + byte_bound(compact({"type": "größe", "x": 1.5e300}))
    assert more.tokens == found.tokens + beside


def test_the_simulator_counts_by_the_same_rule() -> None:
    from simulators.provider.counting import count_prompt

    fields = {"tools": [TOOL], "response_format": {"type": "json_schema", "é": [1.0, None, True]}}
    content = body("sim-exact", [{"role": "user", "content": "naïve\u00a0words here"}], **fields)
    assert bound(
        "sim-exact", [{"role": "user", "content": "naïve\u00a0words here"}], **fields
    ).tokens == count_prompt(json.loads(content))


def test_a_model_without_a_known_tokenizer_is_bounded_by_bytes() -> None:
    found = bound("llama-3.3-70b", "hello")
    assert (found.tokens, found.bound_class) == (len(body("llama-3.3-70b", "hello")) + 512, BoundClass.HARD)
    tools = bound("llama-3.3-70b", "hello", tools=[TOOL])
    assert tools.tokens == len(body("llama-3.3-70b", "hello", tools=[TOOL])) + 512 + 1024


def test_a_prompt_that_the_vendor_hides_is_added_and_no_bound_is_hard_with_it() -> None:
    found = bound_chat(request("grok-4", "hello"), provider="x-ai")
    assert (found.tokens, found.bound_class) == (
        len(body("grok-4", "hello")) + 512 + 1024,
        BoundClass.EMPIRICAL,
    )


def test_a_borrowed_name_says_nothing_about_the_tokenizer() -> None:
    elsewhere = bound_chat(request("gpt-4o", "hello"), provider="vllm")
    assert (elsewhere.tokens, elsewhere.bound_class) == (len(body("gpt-4o", "hello")) + 512, BoundClass.HARD)
    assert bound_chat(request("gpt-4o", "hello"), provider="azure") == bound("gpt-4o", "hello")
    assert bound_chat(request("sim-exact", "hello"), provider="simulator") == bound("sim-exact", "hello")


# Remembering --------------------------------------------------------------------------------------------------


def test_a_growing_chat_costs_only_its_new_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    inner = chat_messages._count

    def watched(raw: Any, place: int, rule: Any, parts: Any) -> Any:
        counted.append(place)
        return inner(raw, place, rule, parts)

    monkeypatch.setattr(chat_messages, "_count", watched)
    turns = [{"role": "user", "content": f"turn {number} " + "and so on " * 80} for number in range(5)]
    for length in range(1, 6):
        bound(messages=turns[:length])
    assert counted == [0, 1, 2, 3, 4]
    bound("gpt-4.1", turns)  # the same family in the same encoding
    assert len(counted) == 5
    bound("gpt-4", turns)
    bound("gpt-5", turns)
    assert len(counted) == 15


def test_families_are_told_apart() -> None:
    names = {
        "gpt-4": "classic",
        "gpt-4-turbo": "classic",
        "gpt-4o-mini-2024-07-18": "classic",
        "gpt-4o-audio-preview": "audio",
        "gpt-35-turbo": "chat-old",
        "gpt-3.5-turbo-instruct": "chat-old",
        "o1-preview": "reasoning-old",
        "o3-mini": "reasoning",
        "gpt-5.2-chat": "reasoning",
        "gpt-6-luna": "unknown",
        "omni": "unknown",
        "my-gpt-4o": "unknown",
        "SIM-fast": "sim",
    }
    assert {model: family_of(model).name for model in names} == names
    assert image_rule_of("gpt-3.5-turbo") is None
