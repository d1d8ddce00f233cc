"""Responses on the wire: whole answers, the order of events, tools, faults, what is counted and what is billed."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.simulators.provider.conftest import Simulator

HELLO = "hello big world"  # 2 + 4 + 3 tokens
PROMPT_TOKENS = 9
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    },
}


def ask(sim: Simulator, model: str, path: str = "/v1/responses", **body: Any) -> httpx.Response:
    return sim.http.post(path, json={"model": model, "input": HELLO, **body})


def stream(sim: Simulator, model: str, **body: Any) -> list[dict[str, Any]]:
    answer = ask(sim, model, stream=True, **body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.text.splitlines()
    named = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert named == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def test_an_answer_says_what_it_counted_and_is_billed_for_it(sim: Simulator) -> None:
    answer = ask(sim, "sim-exact", max_output_tokens=5).json()
    assert (answer["object"], answer["status"]) == ("response", "incomplete")
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    [message] = answer["output"]
    assert message["content"][0]["text"] == "tok1 tok2 tok3 tok4 tok5 "
    assert answer["usage"] == {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }
    record = sim.only_record()
    assert (record["prompt_tokens"], record["completion_tokens"], record["billed_nanousd"]) == (9, 5, 59_000)
    assert record["reported_usage"] == answer["usage"]


def test_a_stream_tells_its_answer_in_the_order_that_openai_does(sim: Simulator) -> None:
    events = stream(sim, "sim-words-2")
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done", "completed"),
    ]
    last = events[-1]["response"]
    assert last["usage"]["output_tokens"] == 2
    assert events[-2]["item"] == last["output"][0]
    assert events[0]["response"]["usage"] is None


def test_a_function_is_called(sim: Simulator) -> None:
    events = stream(sim, "sim-tools", tools=[TOOL])
    assert "response.function_call_arguments.done" in {event["type"] for event in events}
    [called] = events[-1]["response"]["output"]
    assert (called["type"], called["name"]) == ("function_call", "get_weather")
    assert json.loads(called["arguments"]) == {"city": "tok1 tok2", "days": 1}
    spoken = "".join(event["delta"] for event in events if event["type"].endswith("arguments.delta"))
    assert spoken == called["arguments"]


def test_the_function_that_is_named_is_called(sim: Simulator) -> None:
    other = {**TOOL, "name": "get_time"}
    choice = {"type": "function", "name": "get_time"}
    [called] = ask(sim, "sim-tools", tools=[TOOL, other], tool_choice=choice).json()["output"]
    assert called["name"] == "get_time"


def test_thinking_is_an_item_of_its_own(sim: Simulator) -> None:
    events = stream(sim, "sim-reasoning-7-words-2")
    kinds = [item["type"] for item in events[-1]["response"]["output"]]
    assert kinds == ["reasoning", "message"]
    usage = events[-1]["response"]["usage"]
    assert (usage["output_tokens"], usage["output_tokens_details"]["reasoning_tokens"]) == (9, 7)
    assert sim.only_record()["completion_tokens"] == 9


def test_every_kind_of_item_counts_by_its_words(sim: Simulator) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "one two"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c", "output": "three four five"},
    ]
    body = {"input": items, "instructions": "be brief", "text": {"format": {"type": "text"}}, "tools": []}
    counted = 2 + (4 + 2) + (4 + 2) + 4 + (4 + 1 + 2) + (4 + 3) + len('{"format":{"type":"text"}}') + 2
    assert ask(sim, "sim-mini", **body).json()["usage"]["input_tokens"] == counted
    answer = ask(sim, "sim-mini", "/v1/responses/input_tokens", **body)
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": counted}
    records = sim.records()
    assert [record["billed_nanousd"] > 0 for record in records] == [True, False]


def test_a_compaction_is_billed_and_takes_no_cap(sim: Simulator) -> None:
    answer = ask(sim, "sim-words-3", "/v1/responses/compact", stream=True).json()
    assert answer["object"] == "response.compaction"
    assert answer["output"][0]["encrypted_content"] == "tok1 tok2 tok3 "
    assert answer["usage"]["output_tokens"] == 3
    most = ask(sim, "sim-words-5000", "/v1/responses/compact").json()
    assert most["usage"]["output_tokens"] == 1024


@pytest.mark.parametrize(
    ("model", "usage"), [("sim-nousage", None), ("sim-zerousage", 0), ("sim-over-50-words-4", 6)]
)
def test_usage_can_be_missing_or_wrong(sim: Simulator, model: str, usage: int | None) -> None:
    cap = {"max_output_tokens": 4}
    told = [ask(sim, model, **cap).json()["usage"], stream(sim, model, **cap)[-1]["response"]["usage"]]
    assert [one and one["output_tokens"] for one in told] == [usage, usage]


def test_an_error_may_come_inside_a_stream(sim: Simulator) -> None:
    *_, last = stream(sim, "sim-midstream-error")
    assert (last["type"], last["code"]) == ("error", "server_error")
    assert sim.only_record()["end"] == "midstream_error"


@pytest.mark.parametrize("model", ["sim-words-6-crlf", "sim-words-6-comments"])
def test_the_wire_may_look_otherwise(sim: Simulator, model: str) -> None:
    answer = ask(sim, model, stream=True)
    assert (b"\r\n" in answer.content) == model.endswith("crlf")
    assert (b": PROCESSING" in answer.content) == model.endswith("comments")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "sim-exact"}, "max_output_tokens"),
        ({"model": "sim-mini", "max_output_tokens": 0}, "max_output_tokens"),
        ({"model": "sim-mini", "max_output_tokens": "many"}, "max_output_tokens"),
        ({"model": "sim-mini", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"model": "sim-mini", "input": 5}, "input"),
        ({"model": "sim-mini", "input": [5]}, "input"),
        ({"model": "sim-mini", "input": [{"type": "item_reference", "id": "x"}]}, "input"),
        ({"model": "sim-mini", "input": [{"role": "user", "content": 5}]}, "input"),
    ],
)
def test_a_request_it_cannot_read_is_refused(sim: Simulator, body: dict[str, Any], param: str) -> None:
    answer = sim.http.post("/v1/responses", json={"input": HELLO, **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"])
def test_every_route_refuses_what_is_no_request(sim: Simulator, path: str) -> None:
    assert sim.http.post(path, content=b"[]").status_code == 400
    assert ask(sim, "nobody", path).status_code == 404
    assert ask(sim, "sim-mini", path, input={"role": "user"}).status_code == 400
