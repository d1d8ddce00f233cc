"""Messages that take several samplings, as the simulator serves and bills them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulators.provider.conftest import PROMPT_TOKENS, Simulator
from tests.simulators.provider.test_messages import VERSION, ask, compact_bytes

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "sim-exact", "max_uses": 1}
COMPACTION = {"edits": [{"type": "compact_20260112"}]}


def first_of(*tools: Any) -> int:
    return PROMPT_TOKENS + compact_bytes(list(tools))


def test_searches_bill_the_prompt_again_each_time(sim: Simulator) -> None:
    answer = ask(sim, "sim-words-3-searches-2", tools=[SEARCH]).json()
    record, first = sim.only_record(), first_of(SEARCH)
    prompts = [first, first + 200, first + 400]
    assert answer["usage"]["input_tokens"] == sum(prompts)
    assert answer["usage"]["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}
    assert [one["input_tokens"] for one in answer["usage"]["iterations"]] == prompts
    kinds = [block["type"] for block in answer["content"]]
    assert kinds == [*("server_tool_use", "web_search_tool_result") * 2, "text"]
    assert record["billed_nanousd"] == sum(prompts) * 1000 + 3 * 2000 + 2 * 10_000_000
    assert record["searches"] == 2


@pytest.mark.parametrize(("tools", "made"), [([SEARCH | {"max_uses": 1}], 1), ([], 0), (None, 0)])
def test_nothing_is_searched_that_was_not_asked_for(sim: Simulator, tools: Any, made: int) -> None:
    ask(sim, "sim-words-3-searches-2", **({} if tools is None else {"tools": tools}))
    assert sim.only_record()["searches"] == made


def test_a_stream_replaces_its_first_prompt_at_its_end(sim: Simulator) -> None:
    answer = ask(sim, "sim-words-3-searches-1", tools=[SEARCH], stream=True).text
    first = first_of(SEARCH)
    assert f'"message_start","message":{{"id":"{"msg_"}' in answer
    start, _, end = answer.partition("content_block_start")
    assert f'"input_tokens":{first},' in start
    assert f'"input_tokens":{2 * first + 200},' in end
    assert sim.only_record()["prompt_tokens"] == 2 * first + 200


def test_a_summary_is_billed_beside_the_usage(sim: Simulator) -> None:
    usage = ask(sim, "sim-words-3-compacted-50", context_management=COMPACTION).json()["usage"]
    assert usage["input_tokens"] == PROMPT_TOKENS
    assert [(one["type"], one["output_tokens"]) for one in usage["iterations"]] == [
        ("compaction", 50),
        ("message", 3),
    ]
    assert sim.only_record()["billed_nanousd"] == 2 * PROMPT_TOKENS * 1000 + 53 * 2000


def test_advice_is_billed_at_the_advisors_price(sim: Simulator) -> None:
    usage = ask(sim, "sim-words-3-advised-7", tools=[ADVISOR]).json()["usage"]
    [advice] = [one for one in usage["iterations"] if "model" in one]
    first = first_of(ADVISOR)
    assert (advice["model"], advice["input_tokens"], advice["output_tokens"]) == ("sim-exact", first, 7)
    assert sim.only_record()["billed_nanousd"] == 2 * first * 1000 + 3 * 2000 + 7 * 10_000


def test_one_sampling_is_listed_when_told_so(sim: Simulator) -> None:
    usage = ask(sim, "sim-words-3-iterations").json()["usage"]
    assert [one["type"] for one in usage["iterations"]] == ["message"]
    assert "server_tool_use" not in usage
    assert "iterations" not in ask(sim, "sim-words-3").json()["usage"]


@pytest.mark.parametrize(
    ("model", "percent"), [("sim-mini", 100), ("sim-countover-10", 110), ("sim-countunder-10", 90)]
)
def test_a_count_may_be_off(sim: Simulator, model: str, percent: int) -> None:
    messages = [{"role": "user", "content": "word " * 94}]
    body = {"model": model, "messages": messages}
    found = sim.http.post("/v1/messages/count_tokens", json=body, headers=VERSION).json()
    assert found == {"input_tokens": percent}
    assert sim.only_record()["billed_nanousd"] == 0
