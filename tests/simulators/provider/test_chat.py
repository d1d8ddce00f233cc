"""Whole JSON answers: their shape, their length, their count."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.simulators.provider.conftest import PROMPT_TOKENS, Simulator, run_simulator

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def error_of(answer: httpx.Response) -> Any:
    return answer.json()["error"]


def test_an_answer_is_a_chat_completion_with_usage(sim: Simulator) -> None:
    answer = sim.ask("sim-words-3")
    body = answer.json()
    assert answer.headers["x-request-id"] == sim.only_record()["request_id"]
    assert body["object"] == "chat.completion"
    assert body["model"] == "sim-words-3"
    (choice,) = body["choices"]
    assert choice["message"]["content"] == "tok1 tok2 tok3 "
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (
        PROMPT_TOKENS,
        3,
        12,
    )
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize("spelling", ["max_tokens", "max_completion_tokens"])
def test_exact_uses_its_cap_to_the_last_token_in_every_choice(sim: Simulator, spelling: str) -> None:
    cap: dict[str, Any] = {spelling: 7}
    body = sim.ask("sim-exact", n=3, **cap).json()
    assert [len(choice["message"]["content"].split()) for choice in body["choices"]] == [7, 7, 7]
    assert {choice["finish_reason"] for choice in body["choices"]} == {"length"}
    assert body["usage"]["completion_tokens"] == 21


def test_exact_without_a_cap_is_refused(sim: Simulator) -> None:
    answer = sim.ask("sim-exact")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "max_completion_tokens")


@pytest.mark.parametrize("model", ["sim-mini", "sim-echo"])
def test_a_plain_model_answers_the_same_conversation_at_the_same_modest_length(
    sim: Simulator, model: str
) -> None:
    lengths = {sim.ask(model, user=user).json()["usage"]["completion_tokens"] for user in ("a", "b")}
    assert len(lengths) == 1
    assert 20 <= lengths.pop() <= 60
    short = sim.ask(model, max_tokens=4).json()
    assert (short["usage"]["completion_tokens"], short["choices"][0]["finish_reason"]) == (4, "length")


def test_the_prompt_is_counted_by_the_public_rule(sim: Simulator) -> None:
    messages = [
        {"role": "system", "content": "two words"},
        {"role": "assistant", "content": None},
        {
            "role": "user",
            "content": [{"type": "text", "text": "  a b\n c "}, {"type": "image_url", "image_url": {}}],
        },
    ]
    format_ = {"type": "json_object", "x": "é"}
    usage = sim.ask("sim-words-1", messages=messages, tools=[TOOL], response_format=format_).json()["usage"]
    compact = [
        json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode() for each in ([TOOL], format_)
    ]
    assert usage["prompt_tokens"] == 2 + (4 + 2) + 4 + (4 + 3) + len(compact[0]) + len(compact[1])


def test_reasoning_is_counted_as_output_inside_the_cap(sim: Simulator) -> None:
    usage = sim.ask("sim-reasoning-50-words-10", max_tokens=55).json()["usage"]
    assert usage["completion_tokens"] == 55
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 50
    assert sim.only_record()["reasoning_tokens"] == 50


def test_cached_tokens_are_reported_and_billed_at_their_price(sim: Simulator) -> None:
    usage = sim.ask("sim-cached-4-words-1").json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 4
    assert sim.only_record()["billed_nanousd"] == 5 * 1000 + 4 * 250 + 2000


def test_a_tool_is_called_with_arguments_that_fit_its_schema(sim: Simulator) -> None:
    body = sim.ask("sim-tools", tools=[TOOL]).json()
    (call,) = body["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "tok1 tok2", "days": 1}
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["usage"]["completion_tokens"] == 1 + len(call["function"]["arguments"].split())


def test_tools_are_left_alone_when_none_is_given_or_wanted(sim: Simulator) -> None:
    assert sim.ask("sim-tools").json()["choices"][0]["message"]["content"]
    assert sim.ask("sim-tools", tools=[TOOL], tool_choice="none").json()["choices"][0]["message"]["content"]


def test_json_answers_are_json_and_fit_a_schema(sim: Simulator) -> None:
    plain = sim.ask("sim-json", response_format={"type": "json_object"}, max_tokens=10).json()
    content = plain["choices"][0]["message"]["content"]
    assert json.loads(content)["answer"].startswith("tok1 tok2")
    assert plain["usage"]["completion_tokens"] == len(content.split()) == 10
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["b", "c"]},
            "all": {"type": "array", "items": {"$ref": "#/$defs/one"}},
        },
        "$defs": {"one": {"type": "object", "properties": {"ok": {"type": "boolean"}}}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    made = sim.ask("sim-json", response_format=wanted).json()["choices"][0]["message"]["content"]
    assert json.loads(made) == {"kind": "b", "all": [{"ok": True}]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ({"max_completion_tokens": 2_000_000}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_a_malformed_request_is_refused_and_not_billed(
    sim: Simulator, body: dict[str, Any], param: str
) -> None:
    answer = sim.ask("sim-mini", **body)
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)
    assert (sim.only_record()["end"], sim.bill()["billed_nanousd"]) == ("refused", 0)


def test_a_body_that_is_not_json_or_too_large_is_refused(sim: Simulator) -> None:
    assert sim.http.post("/v1/chat/completions", content=b"{").status_code == 400
    assert sim.http.post("/v1/chat/completions", content=b" " * (32 * 2**20 + 1)).status_code == 413


@pytest.mark.parametrize("depth", [300, 450, 480, 490, 495, 2000, 100_000])
def test_a_deeply_nested_request_gets_an_answer_and_a_record(sim: Simulator, depth: int) -> None:
    parameters = b'{"properties":{"a":' * depth + b"{}" + b"}}" * depth
    tool = b'{"type":"function","function":{"name":"a","parameters":%b}}' % parameters
    body = b'{"model":"sim-tools","messages":[{"role":"user","content":"x"}],"tools":[%b]}' % tool
    assert sim.http.post("/v1/chat/completions", content=body).status_code in (200, 400)
    assert sim.only_record()["status"] in (200, 400)


def test_unknown_models_and_routes_are_404_in_openais_shape(sim: Simulator) -> None:
    model, route = sim.ask("gpt-4o"), sim.http.get("/v1/nothing")
    assert (model.status_code, error_of(model)["code"]) == (404, "model_not_found")
    assert (route.status_code, error_of(route)["type"]) == (404, "invalid_request_error")


def test_models_are_listed_and_found(sim: Simulator) -> None:
    names = [model["id"] for model in sim.http.get("/v1/models").json()["data"]]
    assert "sim-exact" in names
    assert sim.http.get("/v1/models/sim-words-77").json()["id"] == "sim-words-77"
    assert sim.http.get("/v1/models/gpt-4o").status_code == 404


def test_latency_comes_before_the_answer(sim: Simulator) -> None:
    began = time.monotonic()
    assert sim.ask("sim-words-1-slow-60").status_code == 200
    assert sim.ask("sim-words-1", headers={"x-sim-script": '{"latency_ms": 60}'}).status_code == 200
    assert time.monotonic() - began >= 0.12


def test_a_configured_key_is_asked_for() -> None:
    with run_simulator("--api-key", "sk-sim-right") as locked:
        for headers in ({}, {"authorization": "Bearer sk-sim-wrong"}):
            answer = locked.ask("sim-mini", headers=headers)
            assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")
        assert locked.ask("sim-mini", headers={"authorization": "Bearer sk-sim-right"}).status_code == 200
        fingerprints = [record["authorization"] for record in locked.records()]
        assert fingerprints[0] is None
        assert len(set(fingerprints)) == 3
        assert "right" not in "".join(map(str, fingerprints))
