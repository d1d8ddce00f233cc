from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.allowances import Allowances
from metering.errors import RequestShapeError, Uncountable
from metering.quote import BoundClass
from metering.responses_bound import UNBOUNDED, bound_responses
from metering.responses_request import decode_compact
from metering.tokens import count
from tests.metering.responses import body, bound, function, message

TURNS = [message("hi"), message("hello", role="assistant"), message("how are you")]
SEARCH = [{"type": "web_search"}]


def test_plain_text_is_counted_by_the_framing_documented_for_chat() -> None:
    found = bound("gpt-4.1", "hi", instructions=None)
    assert (found.tokens, found.bound_class) == (8 + 1, BoundClass.EMPIRICAL)
    assert found.text_buckets == ("input", "cache_read", "cache_write_5m")
    assert bound("gpt-4.1", TURNS).tokens == 3 + (4 + 1) + (4 + 1) + (4 + 3) + 1
    told = bound("gpt-4.1", "hi", instructions="Be brief")
    assert (told.tokens, told.bound_class) == (8 + 4 + 2 + 1, BoundClass.EMPIRICAL)
    assert bound("gpt-4.1", "hi", instructions="") == bound("gpt-4.1", "hi")
    assert bound("gpt-4.1", "hi", instructions=[message("Be brief", role="developer")]).tokens == 15


def test_a_model_that_thinks_is_primed_by_two_and_names_its_channel() -> None:
    assert (bound("gpt-5").tokens, bound("gpt-5").bound_class) == (7 + 1, BoundClass.EMPIRICAL)
    assert bound("gpt-5", TURNS).tokens == 2 + 5 + (5 + 2) + 7 + 1
    assert bound("openai.gpt-5.6-luna", provider="bedrock").tokens == 8


def test_the_o_series_may_be_shown_a_message_of_its_own() -> None:
    assert bound("o3-mini").tokens == bound("gpt-5").tokens + 64 + 3


def test_a_long_prompt_of_a_model_that_thinks_has_a_margin() -> None:
    assert bound("gpt-5", "word " * 1000).tokens > 1010


def test_gpt_4o_has_what_its_first_weeks_had() -> None:
    assert bound("gpt-4o").tokens == 9
    told = bound("gpt-4o", instructions="Be brief")
    assert told.bound_class is BoundClass.EMPIRICAL
    assert told.tokens >= 14 + 24
    assert bound("gpt-4o-mini", instructions="Be brief").tokens == 15
    tools = {"tools": [function()]}
    assert bound("gpt-4o-2024-08-06", **tools).tokens == bound("gpt-4o-mini", **tools).tokens + 240


def test_tools_and_formats_are_in_the_prompt() -> None:
    assert bound("gpt-5", tools=[function()]).tokens > bound("gpt-5").tokens + 20
    text = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}}
    assert bound("gpt-4.1", text=text).tokens > bound("gpt-4.1").tokens + 10
    assert bound("gpt-4.1", text={"format": {"type": "text"}}) == bound("gpt-4.1")


def test_pictures_are_counted_apart() -> None:
    picture = {"type": "input_image", "image_url": "https://example.com/a", "detail": "low"}
    found = bound("gpt-4.1", [message("look", picture)])
    assert (found.image_tokens, found.bound_class) == (85, BoundClass.EMPIRICAL)
    assert found.tokens > 85 + 8


@pytest.mark.parametrize(
    ("model", "provider"), [("deepseek-v4", "deepseek"), ("gpt-5", "somebody"), ("llama", "openai")]
)
def test_where_no_tokenizer_is_known_the_bytes_bound(model: str, provider: str) -> None:
    sent = body(model, TURNS)
    found = bound(model, TURNS, provider=provider)
    assert (found.tokens, found.bound_class) == (len(sent) + 512, BoundClass.HARD)
    assert bound(model, "hi", provider=provider).bound_class is BoundClass.HARD
    tools = bound(model, "hi", provider=provider, tools=[function()])
    assert tools.tokens == len(body(model, "hi", tools=[function()])) + 512 + 1024
    with pytest.raises(Uncountable, match=r"input\[0\]\.compaction"):
        bound(model, [{"type": "compaction"}], provider=provider)
    allowed = bound(
        model, [{"type": "compaction"}], provider=provider, allowances=Allowances({"conversation": 99})
    )
    assert allowed.bound_class is BoundClass.EMPIRICAL


def test_a_prompt_that_the_provider_adds_unasked_is_counted() -> None:
    found = bound("grok-4", provider="x-ai")
    assert (found.tokens, found.bound_class) == (len(body("grok-4")) + 512 + 1024, BoundClass.EMPIRICAL)


def test_openai_models_elsewhere_are_counted_under_their_vendors_name_alone() -> None:
    assert bound("openai/gpt-5", provider="openrouter").tokens == 8
    resold = bound("openai/gpt-4.1", provider="openrouter")
    assert (resold.tokens, resold.bound_class) == (8 + 4, BoundClass.EMPIRICAL)
    assert bound("gpt-5", provider="openrouter").bound_class is BoundClass.HARD


def test_thinking_that_no_cap_covers_is_refused() -> None:
    with pytest.raises(Uncountable, match="not under the output cap"):
        bound("qwen3-max", provider="alibaba")


@given(st.text(max_size=200), st.text(max_size=50))
def test_bytes_are_never_fewer_than_tokens(text: str, told: str) -> None:
    for encoding in ("o200k_base", "cl100k_base"):
        tokens = count(text, encoding) + count(told, encoding)
        assert bound("llama", text, provider="somebody", instructions=told).tokens > tokens


def test_the_simulators_rule_counts_words() -> None:
    found = bound("sim-mini", "one two", instructions="be brief", tools=[], provider="simulator")
    assert (found.tokens, found.bound_class) == (2 + 4 + 2 + 4 + 2 + 2, BoundClass.EXACT)
    items = [
        message("a b c"),
        {"type": "reasoning"},
        {"type": "function_call", "name": "f", "arguments": "{}"},
    ]
    assert bound("sim-mini", items, provider="simulator").tokens == 2 + 7 + 4 + 6
    assert bound("sim-mini", None, provider="simulator").tokens == 2


def test_a_compaction_has_instructions_of_its_own() -> None:
    compact = bound_responses(decode_compact(body("gpt-4.1")))
    assert (compact.tokens, compact.bound_class) == (8 + 256 + 4, BoundClass.EMPIRICAL)
    plain = bound_responses(decode_compact(body("llama")), provider="somebody")
    assert plain.tokens == len(body("llama")) + 1024


@pytest.mark.parametrize("name", sorted(UNBOUNDED))
def test_fields_without_a_bound_are_refused_by_name(name: str) -> None:
    with pytest.raises(Uncountable) as raised:
        bound(**{name: ["x"]})
    assert raised.value.part == name


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("previous_response_id", "resp_1", "conversation"),
        ("conversation", {"id": "conv_1"}, "conversation"),
        ("prompt", {"id": "pmpt_1"}, "hosted_prompt"),
    ],
)
def test_state_that_is_kept_elsewhere_rests_on_an_allowance(name: str, value: Any, kind: str) -> None:
    with pytest.raises(Uncountable) as raised:
        bound(**{name: value})
    assert (raised.value.part, raised.value.kind) == (name, kind)
    found = bound(allowances=Allowances({kind: 5000}), **{name: value})
    assert (found.tokens, found.bound_class) == (5009, BoundClass.EMPIRICAL)
    assert bound(**{name: None}).tokens == 9


def test_several_runs_and_models_that_search_are_refused() -> None:
    with pytest.raises(Uncountable, match="several runs"):
        bound("gpt-5.6", reasoning={"mode": "pro"})
    with pytest.raises(Uncountable, match="by itself"):
        bound("o4-mini-deep-research")
    with pytest.raises(Uncountable, match="by itself"):
        bound("openai/gpt-5:online", provider="openrouter")


def test_a_compaction_on_the_way_reads_everything_once_more() -> None:
    found = bound("gpt-4.1", context_management=[{"type": "compaction", "compact_threshold": 1000}])
    assert (found.tokens, found.rounds, found.bound_class) == (2 * 9 + 256, 2, BoundClass.EMPIRICAL)


def test_tools_of_the_providers_need_a_number_of_calls() -> None:
    with pytest.raises(Uncountable, match="state 'max_tool_calls'") as raised:
        bound("gpt-5", tools=SEARCH)
    assert (raised.value.part, raised.value.kind) == ("tools[0].web_search", "web_search")


def test_a_provider_that_may_pass_over_that_number_is_refused() -> None:
    with pytest.raises(Uncountable, match="keep to 'max_tool_calls'"):
        bound("grok-4", provider="x-ai", tools=SEARCH, max_tool_calls=1)
    assert (
        bound(
            "sim-mini",
            provider="simulator",
            tools=[{"type": "mcp"}],
            max_tool_calls=1,
            allowances=Allowances({"mcp": 5}),
        ).rounds
        == 2
    )


def test_each_call_of_the_providers_tools_bills_a_whole_prompt_and_its_fee() -> None:
    found = bound("gpt-5", tools=SEARCH, max_tool_calls=3)
    assert (found.tokens, found.rounds) == (4 * 272_000, 4)
    assert (found.extras, found.bound_class) == ((("web_search", 3),), BoundClass.HARD)


def test_an_allowance_stands_for_what_a_call_adds() -> None:
    tools = [*SEARCH, {"type": "mcp", "server_label": "x"}]
    found = bound(
        "gpt-5", tools=tools, max_tool_calls=2, allowances=Allowances({"web_search": 9000, "mcp": 1000})
    )
    [alone] = {bound("gpt-5", tools=[function()]).bound_class}
    assert found.bound_class is alone is BoundClass.EMPIRICAL
    assert 3 * 20_000 < found.tokens < 3 * 21_000
    assert found.extras == (("web_search", 2),)
    mixed = bound("gpt-5", tools=tools, max_tool_calls=2, allowances=Allowances({"web_search": 9000}))
    assert mixed.tokens == 3 * 272_000


def test_where_allowances_stand_for_every_tool_ten_calls_are_held() -> None:
    tools = [*SEARCH, {"type": "mcp", "server_label": "x"}]
    found = bound("gpt-5", tools=tools, allowances=Allowances({"web_search": 9000, "mcp": 1000}))
    assert (found.rounds, found.extras) == (11, (("web_search", 10),))
    with pytest.raises(Uncountable, match="state 'max_tool_calls'"):
        bound("gpt-5", tools=tools, allowances=Allowances({"mcp": 1000}))


def test_without_an_allowance_or_a_ceiling_nothing_stands_for_a_call() -> None:
    with pytest.raises(Uncountable, match="how much this model can read") as raised:
        bound("gpt-5-of-tomorrow", tools=SEARCH, max_tool_calls=1)
    assert raised.value.kind == "web_search"


@pytest.mark.parametrize("given", [5, {"role": "user"}])
def test_an_input_that_is_neither_text_nor_items_is_refused(given: Any) -> None:
    with pytest.raises(RequestShapeError):
        bound("gpt-4.1", given)
