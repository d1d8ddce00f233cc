"""Streams: OpenAI's sequence of chunks, and the ways other providers vary it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulators.provider.conftest import PROMPT_TOKENS, Simulator
from tests.simulators.provider.test_chat import TOOL

ASKED: dict[str, Any] = {"stream_options": {"include_usage": True}}


def test_a_stream_is_one_word_a_chunk_then_its_reason_then_done(sim: Simulator) -> None:
    stream = sim.stream("sim-words-3")
    deltas = [chunk["choices"][0]["delta"] for chunk in stream.chunks]
    assert deltas[0]["role"] == "assistant"
    assert [delta["content"] for delta in deltas[1:-1]] == ["tok1 ", "tok2 ", "tok3 "]
    assert stream.chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["object"] for chunk in stream.chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in stream.chunks}) == 1
    assert not any("usage" in chunk for chunk in stream.chunks)
    assert stream.done
    assert stream.headers["content-type"].startswith("text/event-stream")


def test_usage_comes_in_a_chunk_of_its_own_when_asked(sim: Simulator) -> None:
    stream = sim.stream("sim-exact", max_tokens=5, n=2, **ASKED)
    assert stream.chunks[-1]["choices"] == []
    assert [chunk["usage"] for chunk in stream.chunks[:-1]] == [None] * (len(stream.chunks) - 1)
    usage = stream.chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (PROMPT_TOKENS, 10)
    record = sim.only_record()
    assert record["reported_usage"] == usage
    assert record["billed_nanousd"] == PROMPT_TOKENS * 1000 + 10 * 10_000


@pytest.mark.parametrize("model", ["sim-words-4", "sim-words-4-usage-every", "sim-words-4-nousage"])
def test_a_stream_says_what_the_json_answer_says(sim: Simulator, model: str) -> None:
    assert sim.stream(model, **ASKED).text == sim.ask(model).json()["choices"][0]["message"]["content"]


def test_usage_every_is_cumulative_and_not_asked_for(sim: Simulator) -> None:
    stream = sim.stream("sim-usage-every-words-3")
    assert [usage["completion_tokens"] for usage in stream.usages] == [0, 1, 2, 3, 3]
    assert stream.chunks[-1]["choices"] != []


def test_usage_choice_is_in_the_last_chunk_with_a_choice(sim: Simulator) -> None:
    stream = sim.stream("sim-usage-choice-words-3")
    assert len(stream.usages) == 1
    assert stream.chunks[-1]["usage"]["completion_tokens"] == 3
    assert stream.chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_usage_not_last_is_followed_by_a_null(sim: Simulator) -> None:
    stream = sim.stream("sim-usage-not-last-words-3", **ASKED)
    assert stream.chunks[-2]["usage"]["completion_tokens"] == 3
    assert (stream.chunks[-1]["usage"], stream.chunks[-1]["choices"]) == (None, [])


def test_no_usage_is_none_even_if_asked_and_is_billed(sim: Simulator) -> None:
    stream = sim.stream("sim-nousage-words-3", **ASKED)
    assert not any("usage" in chunk for chunk in stream.chunks)
    record = sim.only_record()
    assert (record["reported_usage"], record["completion_tokens"]) == (None, 3)
    assert record["billed_nanousd"] == PROMPT_TOKENS * 1000 + 3 * 2000


def test_zero_usage_is_a_lie_that_the_bill_does_not_share(sim: Simulator) -> None:
    stream = sim.stream("sim-zerousage-words-3", **ASKED)
    assert stream.text.split() == ["tok1", "tok2", "tok3"]
    assert stream.usages[0]["total_tokens"] == 0
    assert sim.only_record()["completion_tokens"] == 3


def test_tool_arguments_come_in_deltas(sim: Simulator) -> None:
    stream = sim.stream("sim-tools", tools=[TOOL], **ASKED)
    deltas = [chunk["choices"][0]["delta"] for chunk in stream.chunks if chunk["choices"]]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert calls[0]["function"]["name"] == "get_weather"
    assert len(calls) > 2
    assert "city" in json.loads("".join(call["function"]["arguments"] for call in calls))
    assert stream.chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert stream.usages[0]["completion_tokens"] == len(calls)


def test_line_ends_and_comments_vary(sim: Simulator) -> None:
    crlf = sim.stream("sim-crlf-words-6")
    assert crlf.raw.count(b"\n") == crlf.raw.count(b"\r\n")
    comments = sim.stream("sim-comments-words-6")
    assert comments.raw.count(b": PROCESSING\n\n") == 2
    assert crlf.text == comments.text


@pytest.mark.parametrize("drip", ["", "-drip-1"])
def test_gzip_only_if_the_caller_accepts_it(sim: Simulator, drip: str) -> None:
    model = f"sim-gzip-words-6{drip}"
    packed = sim.stream(model, headers={"accept-encoding": "gzip"})
    plain = sim.stream(model, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    answer = sim.ask(model, headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["usage"]["completion_tokens"] == 6


def test_a_long_stream_arrives_whole(sim: Simulator) -> None:
    stream = sim.stream("sim-words-20000", **ASKED)
    assert stream.usages[0]["completion_tokens"] == len(stream.text.split()) == 20_000
