"""Tools that run at Anthropic: how often, how much, at what fee, and by which other models."""

from __future__ import annotations

from typing import Any

import pytest

from metering.allowances import ALLOWANCE_TOKENS_MAX, Allowances
from metering.anthropic import bound_messages
from metering.anthropic_models import (
    ADVISOR_PROMPT_TOKENS,
    COMPACTION_OUTPUT_TOKENS,
    ITERATIONS_MAX,
    SERVER_TOOLS,
    SKILL_TOKENS,
)
from metering.anthropic_rounds import Added, rounds_of
from metering.errors import RequestShapeError, Uncountable
from metering.quote import TEXT_BUCKETS, BoundClass
from tests.metering.messages import allowed, bound, request

SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
FETCH: dict[str, Any] = {"type": "web_fetch_20250910", "name": "web_fetch"}
CODE: dict[str, Any] = {"type": "code_execution_20250825", "name": "code_execution"}
ADVISOR: dict[str, Any] = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-8"}
CONTEXT = 200_000
CAP = 100  # of the requests in these tests


def base_of(*tools: dict[str, Any]) -> int:
    """The first prompt of a request with tools, worked out from a bound whose tools are used not once."""
    unused = [tool | {"max_uses": 0} for tool in tools]
    return bound(tools=unused).tokens


def test_searches_without_an_allowance_are_bounded_by_the_context() -> None:
    found = bound(tools=[SEARCH | {"max_uses": 3}])
    # Three uses, one more that is answered with an error, and the model's answer after each.
    assert found.rounds == 5
    assert found.tokens == base_of(SEARCH | {"max_uses": 3}) + 4 * CONTEXT
    assert found.extras == (("web_search", 3),)
    assert found.bound_class is BoundClass.EMPIRICAL


def test_an_allowance_is_what_one_use_adds_and_every_later_round_bills_again() -> None:
    tool = SEARCH | {"max_uses": 2}
    base, size = base_of(tool), 7_000
    found = allowed({"web_search": size}, tools=[tool])
    second, third, fourth = base + CAP + size, base + 2 * CAP + 2 * size, base + 3 * CAP + 2 * size
    assert found.tokens == base + second + third + fourth
    assert found.rounds == 4


def test_no_prompt_is_longer_than_the_context() -> None:
    tool = SEARCH | {"max_uses": 2}
    assert allowed({"web_search": ALLOWANCE_TOKENS_MAX}, tools=[tool]) == bound(tools=[tool])


@pytest.mark.parametrize(
    ("tool", "kind"),
    [(SEARCH, "web_search"), (FETCH, "web_fetch"), (CODE, "code_execution"), (ADVISOR, "server_tool")],
    ids=["search", "fetch", "code", "advisor"],
)
def test_a_tool_without_a_number_of_uses_needs_an_allowance_by_its_kind(
    tool: dict[str, Any], kind: str
) -> None:
    with pytest.raises(Uncountable, match="how often") as caught:
        bound(tools=[tool])
    assert caught.value.kind == kind
    assert caught.value.part == f"tools[0].{tool['type']}"
    assert allowed({kind: 1_000}, tools=[tool]).rounds == ITERATIONS_MAX + 1


def test_anthropic_pauses_a_call_after_its_iterations() -> None:
    assert bound(tools=[SEARCH | {"max_uses": 500}]).rounds == ITERATIONS_MAX + 1
    assert bound(tools=[SEARCH | {"max_uses": 500}]).extras == (("web_search", 500),)


def test_tools_that_may_be_used_at_once_come_back_at_once() -> None:
    added = tuple(Added(tokens, "t", "web_search") for tokens in range(1, 13))
    found = rounds_of(1_000, added, cap_tokens=10, context=None)
    # Twelve uses in ten rounds: the three largest in the first, then one a round, the largest first.
    grown, total = 12 + 11 + 10, 1_000
    for number in range(1, 11):
        total += 1_000 + number * 10 + grown
        grown += max(0, 10 - number)
    assert found.tokens == total
    assert found.answers == 11


def test_a_size_that_a_caller_states_is_of_text_alone_and_never_lowers_an_allowance() -> None:
    # A PDF that is fetched goes beyond max_content_tokens: without an allowance the context is the bound.
    stated = FETCH | {"max_uses": 1, "max_content_tokens": 5_000}
    assert bound(tools=[stated]).tokens == base_of(stated) + 2 * CONTEXT
    first = base_of(stated)
    smaller, larger = (allowed({"web_fetch": size}, tools=[stated]).tokens for size in (1_000, 60_000))
    assert smaller == first + (first + CAP + 5_500) + (first + 2 * CAP + 5_500)
    assert larger == first + (first + CAP + 60_000) + (first + 2 * CAP + 60_000)


def test_searching_that_filters_by_code_may_run_as_often_as_code() -> None:
    tool = SEARCH | {"type": "web_search_20260209", "max_uses": 1}
    found = allowed({"web_search": 10, "code_execution": 20}, tools=[tool])
    assert found.rounds == ITERATIONS_MAX + 1
    assert found.extras == (("web_search", 1),)
    with_room = bound(tools=[tool])
    assert with_room.tokens > ITERATIONS_MAX * CONTEXT
    assert found.tokens < with_room.tokens


def test_a_search_for_tools_finds_what_the_request_already_holds() -> None:
    tools = [{"type": "tool_search_tool_bm25_20251119", "name": "t"}, {"name": "f", "defer_loading": True}]
    found = bound(tools=tools)
    assert found.rounds == ITERATIONS_MAX + 1
    assert found.extras == ()
    assert found.tokens < 100_000


def test_an_advisor_is_a_model_of_its_own_that_reads_everything() -> None:
    tool = ADVISOR | {"max_uses": 2, "max_tokens": 500}
    found = bound(tools=[tool])
    (asked,) = found.elsewhere
    first = base_of(tool)
    longest = first + 3 * CAP + 2 * 500
    assert asked.model == "claude-opus-4-8"
    assert asked.input_tokens == 2 * (longest + ADVISOR_PROMPT_TOKENS)
    assert asked.output_tokens == 2 * 500
    assert bound(tools=[ADVISOR | {"max_uses": 1}]).elsewhere[0].output_tokens == 128_000
    assert bound(tools=[ADVISOR | {"max_uses": 0}]).elsewhere == ()


def test_an_advisor_that_nobody_knows_may_write_anything() -> None:
    with pytest.raises(Uncountable, match="writes at most"):
        bound(tools=[ADVISOR | {"max_uses": 1, "model": "claude-unheard-of"}])


def test_tools_of_other_servers_cost_their_definitions_and_their_results() -> None:
    fields: dict[str, Any] = {
        "mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}],
        "tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}],
    }
    with pytest.raises(Uncountable) as caught:
        bound(**fields)
    assert caught.value.kind == "mcp"
    small, large = (allowed({"mcp": size}, **fields) for size in (0, 1_000))
    uses = (
        sum(range(1, 10)) + 10
    )  # of ten uses one comes back a round, and the last stays for the last answer
    assert large.tokens - small.tokens == 11 * 1_000 + uses * 1_000
    assert large.rounds == ITERATIONS_MAX + 1


def test_a_container_brings_the_names_of_its_skills() -> None:
    skills = {"skills": [{"type": "anthropic", "skill_id": "xlsx"}, {"type": "anthropic", "skill_id": "pdf"}]}
    assert bound(container=skills).tokens == bound().tokens + 2 * SKILL_TOKENS
    assert bound(container="container_1") == bound(container={}) == bound(container={"id": "c"}) == bound()


def test_a_tool_unheard_of_is_served_at_its_allowance_alone() -> None:
    tool = {"type": "novel_20270101", "name": "n", "max_uses": 1}
    with pytest.raises(Uncountable, match="not known") as caught:
        bound(tools=[tool])
    assert caught.value.kind == "server_tool"
    assert allowed({"server_tool": 9}, tools=[tool]).rounds == 3


def test_a_model_whose_context_nobody_knows_needs_sizes() -> None:
    model, tool = "claude-unheard-of", SEARCH | {"max_uses": 1}
    with pytest.raises(Uncountable, match="context") as caught:
        bound(model, tools=[tool])
    assert caught.value.part == "tools[0].web_search_20250305"
    assert allowed({"web_search": 10}, model, tools=[tool]).rounds == 3
    assert allowed({"web_search": 10}, "kimi-k2", tools=[tool]).bound_class is BoundClass.EMPIRICAL
    with pytest.raises(Uncountable, match="context"):
        allowed({"web_search": 10}, model, tools=[tool], max_tokens=None)


def test_a_documents_pages_are_bounded_by_what_a_request_takes() -> None:
    away = [{"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}]
    assert bound(content=away).tokens >= CONTEXT
    assert bound(content=away).tokens < CONTEXT + 1_000
    assert bound("claude-opus-4-8", content=away).tokens >= 1_000_000
    assert allowed({"document": 9_000}, content=away).tokens < 10_000
    with pytest.raises(Uncountable) as caught:
        bound("claude-unheard-of", content=away)
    assert caught.value.kind == "document"
    file = [{"type": "document", "source": {"type": "file", "file_id": "f"}} for _ in range(2)]
    empty, full = (allowed({"file_id": size}, content=file).tokens for size in (0, 5_000))
    assert full - empty == 2 * 5_000


def test_a_part_is_named_by_its_place_in_this_very_request() -> None:
    file = {"type": "document", "source": {"type": "file", "file_id": "f"}}
    # Long enough to be remembered, were it not for the place in its name.
    message = {"role": "user", "content": [{"type": "text", "text": "x" * 600}, file]}
    for messages in ([{"role": "user", "content": "hi"}, message], [message]):
        with pytest.raises(Uncountable) as caught:
            bound(messages=messages)
        assert caught.value.part == f"messages[{len(messages) - 1}].content[1].source.file"


def compacted(*edits: dict[str, Any], text: str = "word " * 60_000, **fields: Any) -> Any:
    edits = edits or ({"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50_000}},)
    return bound("claude-sonnet-4-6", text, context_management={"edits": list(edits)}, **fields)


def test_a_long_prompt_may_be_summed_up_by_a_sampling_of_its_own() -> None:
    found = compacted()
    (summed_up,) = found.elsewhere
    assert summed_up.model == "claude-sonnet-4-6"
    assert found.tokens <= summed_up.input_tokens < found.tokens + 200
    assert summed_up.output_tokens == COMPACTION_OUTPUT_TOKENS
    assert compacted(max_tokens=20_000).elsewhere[0].output_tokens == 20_000
    assert found.bound_class is BoundClass.EMPIRICAL


def test_a_short_prompt_is_never_summed_up() -> None:
    assert compacted(text="hi").elsewhere == ()
    by_default = {"type": "compact_20260112"}
    assert compacted(by_default).elsewhere == ()
    assert compacted(by_default, text="word " * 120_000).elsewhere
    sooner = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 60_000}}
    assert compacted(by_default, sooner).elsewhere
    odd = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": "soon"}}
    assert compacted(odd, text="hi").elsewhere


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [SEARCH | {"max_uses": "3"}]}, "tools[0].max_uses"),
        ({"tools": [SEARCH | {"max_uses": True}]}, "tools[0].max_uses"),
        ({"tools": [SEARCH | {"max_uses": -1}]}, "tools[0].max_uses"),
        ({"tools": [SEARCH | {"max_uses": 1_001}]}, "tools[0].max_uses"),
        ({"tools": [FETCH | {"max_content_tokens": 1.5}]}, "tools[0].max_content_tokens"),
        ({"tools": [ADVISOR | {"model": None}]}, "tools[0].model"),
        ({"tools": ["t"]}, "tools[0]"),
        ({"tools": {"a": 1}}, "tools"),
        ({"mcp_servers": {"a": 1}}, "mcp_servers"),
        ({"container": {"skills": "all"}}, "container.skills"),
    ],
)
def test_a_tool_of_no_known_shape_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestShapeError) as caught:
        bound(**fields)
    assert caught.value.param == param


def test_tools_are_remembered_with_what_they_come_to() -> None:
    tools = [SEARCH | {"max_uses": 2}, {"name": "f", "description": "x" * 600}]
    assert bound(tools=tools) == bound(tools=tools)
    assert bound(tools=tools).rounds == 4
    assert set(SERVER_TOOLS) >= {"web_search", "web_fetch", "code_execution"}


def test_anthropics_own_count_stands_for_the_first_prompt() -> None:
    file = {"type": "document", "source": {"type": "file", "file_id": "f"}}
    found = bound_messages(request(content=[file]), counted_tokens=1_000)
    assert (found.tokens, found.bound_class) == (1_020, BoundClass.EXACT)
    assert found.text_buckets == ("input",)
    assert bound_messages(request(), counted_tokens=49).tokens == 49
    cached = request(content=[{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}])
    assert "cache_write_5m" in bound_messages(cached, counted_tokens=10).text_buckets
    novel = bound_messages(request(content=[{"type": "novel"}]), counted_tokens=10)
    assert novel.text_buckets == TEXT_BUCKETS
    skilled = bound_messages(request(container={"skills": [{"skill_id": "x"}]}), counted_tokens=10)
    assert skilled.tokens >= 10 + SKILL_TOKENS


def test_a_count_is_of_the_first_prompt_alone() -> None:
    asked = request(tools=[SEARCH | {"max_uses": 1}])
    found = bound_messages(asked, counted_tokens=1_000, allowances=Allowances({"web_search": 5_000}))
    assert found.tokens == 1_020 + (1_020 + CAP + 5_000) + (1_020 + 2 * CAP + 5_000)
    assert found.bound_class is BoundClass.EMPIRICAL
