"""Anthropic's Messages as the simulator serves them: whole answers, counts, refusals and the bill."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.simulators.provider.conftest import PROMPT_TOKENS, WORDS, Simulator, run_simulator

VERSION = {"anthropic-version": "2023-06-01"}
TOOL = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    },
}


def ask(sim: Simulator, model: str, *, path: str = "/v1/messages", **body: Any) -> httpx.Response:
    wanted = {"model": model, "max_tokens": 100, "messages": WORDS, **body}
    return sim.http.post(path, json=wanted, headers=VERSION)


def compact_bytes(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages"])
def test_an_answer_is_a_message(sim: Simulator, path: str) -> None:
    answer = ask(sim, "sim-words-3", path=path)
    record = sim.only_record()
    assert answer.status_code == 200
    assert answer.headers["request-id"] == record["request_id"]
    assert answer.json() == {
        "id": "msg_" + record["request_id"].removeprefix("req_"),
        "type": "message",
        "role": "assistant",
        "model": "sim-words-3",
        "content": [{"type": "text", "text": "tok1 tok2 tok3 "}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": PROMPT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 3,
            "service_tier": "standard",
            "inference_geo": "global",
        },
    }
    assert (record["dialect"], record["path"]) == ("anthropic", path)
    assert record["reported_usage"] == answer.json()["usage"]
    assert record["billed_nanousd"] == PROMPT_TOKENS * 1000 + 3 * 2000


def test_the_prompt_is_counted_by_the_published_rule(sim: Simulator) -> None:
    messages = [
        {"role": "user", "content": "one two"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": "b c"}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "three four"}],
                },
                {"type": "text", "text": "five"},
            ],
        },
    ]
    config = {"effort": "low"}
    body = {"messages": messages, "system": [{"type": "text", "text": "be brief"}], "tools": [TOOL]}
    expected = 2 + 2 + 3 * 4 + 5 + compact_bytes([TOOL]) + compact_bytes(config)
    told = ask(sim, "sim-words-1", **body, output_config=config).json()["usage"]["input_tokens"]
    counted = ask(sim, "sim-mini", path="/anthropic/v1/messages/count_tokens", **body, output_config=config)
    assert (told, counted.json()) == (expected, {"input_tokens": expected})
    assert ask(sim, "sim-mini", messages=[]).status_code == 400
    assert ask(sim, "sim-mini", system=7).status_code == 400


def test_counting_is_not_billed(sim: Simulator) -> None:
    ask(sim, "sim-mini", path="/v1/messages/count_tokens")
    assert sim.bill()["billed_nanousd"] == 0
    assert sim.only_record()["status"] == 200


@pytest.mark.parametrize(
    ("model", "cached", "minutes", "hour"),
    [
        ("sim-words-2-cachewrite-4", 0, 4, 0),
        ("sim-words-2-cachewrite1h-3", 0, 0, 3),
        ("sim-words-2-cached-2-cachewrite-3-cachewrite1h-1", 2, 3, 1),
        ("sim-words-2-cached-2-cachewrite-900-cachewrite1h-1", 2, 7, 0),
    ],
)
def test_what_the_cache_gives_and_takes_stands_beside_the_input(
    sim: Simulator, model: str, cached: int, minutes: int, hour: int
) -> None:
    usage = ask(sim, model).json()["usage"]
    fresh = PROMPT_TOKENS - cached - minutes - hour
    assert usage["input_tokens"] == fresh
    assert usage["cache_read_input_tokens"] == cached
    assert usage["cache_creation_input_tokens"] == minutes + hour
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": minutes,
        "ephemeral_1h_input_tokens": hour,
    }
    record, bill = sim.only_record(), sim.bill()
    assert record["billed_nanousd"] == fresh * 1000 + cached * 250 + minutes * 1250 + hour * 2000 + 2 * 2000
    assert record["prompt_tokens"] == PROMPT_TOKENS
    assert (bill["cache_write_5m_tokens"], bill["cache_write_1h_tokens"]) == (minutes, hour)


def test_a_tool_is_used_with_arguments(sim: Simulator) -> None:
    answer = ask(sim, "sim-tools", tools=[TOOL]).json()
    (block,) = answer["content"]
    assert (block["type"], block["name"]) == ("tool_use", "get_weather")
    assert block["input"] == {"city": "tok1 tok2", "days": 1}
    assert answer["stop_reason"] == "tool_use"
    assert answer["usage"]["output_tokens"] == 1 + len(json.dumps(block["input"]).split())
    named = ask(
        sim, "sim-tools", tools=[TOOL, {"name": "other"}], tool_choice={"type": "tool", "name": "other"}
    )
    assert named.json()["content"][0]["name"] == "other"
    unused = ask(sim, "sim-tools", tools=[TOOL], tool_choice={"type": "none"}).json()
    assert unused["content"][0]["type"] == "text"
    cut = ask(sim, "sim-tools", tools=[TOOL], max_tokens=2).json()
    assert (cut["stop_reason"], cut["content"][0]["input"]) == ("max_tokens", {})


def test_thinking_counts_as_output(sim: Simulator) -> None:
    answer = ask(sim, "sim-words-3-reasoning-40").json()
    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    assert answer["usage"]["output_tokens"] == 43
    assert answer["usage"]["output_tokens_details"] == {"thinking_tokens": 40}
    assert sim.only_record()["reasoning_tokens"] == 40


def test_a_schema_is_followed(sim: Simulator) -> None:
    wanted = {"type": "json_schema", "schema": TOOL["input_schema"]}
    for field in ({"output_format": wanted}, {"output_config": {"format": wanted}}):
        text = ask(sim, "sim-json", **field).json()["content"][0]["text"]
        assert json.loads(text) == {"city": "tok1 tok2", "days": 1}


def test_usage_is_left_out_zero_or_more_than_true(sim: Simulator) -> None:
    assert "usage" not in ask(sim, "sim-words-4-nousage").json()
    zero = ask(sim, "sim-words-4-zerousage").json()["usage"]
    assert (zero["input_tokens"], zero["output_tokens"]) == (0, 0)
    assert ask(sim, "sim-over-50", max_tokens=8).json()["usage"]["output_tokens"] == 12
    assert ask(sim, "sim-exact", max_tokens=7).json()["usage"]["output_tokens"] == 7


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens: Field required"),
        ({"max_tokens": "9"}, 400, "invalid_request_error", "valid integer"),
        ({"max_tokens": 0}, 400, "invalid_request_error", "between"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 100}},
            400,
            "invalid_request_error",
            "greater than",
        ),
        ({"model": None}, 400, "invalid_request_error", "model: Field required"),
        ({"model": "claude-nope"}, 404, "not_found_error", "model: claude-nope"),
        ({"messages": "hi"}, 400, "invalid_request_error", "messages"),
    ],
)
def test_a_bad_request_is_refused_in_anthropics_shape(
    sim: Simulator, body: dict[str, Any], status: int, kind: str, message: str
) -> None:
    answer = ask(sim, **{"model": "sim-mini", **body})
    told = answer.json()
    assert (answer.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert message in told["error"]["message"]
    assert told["request_id"] == answer.headers["request-id"] == sim.only_record()["request_id"]
    assert sim.bill()["billed_nanousd"] == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"),
        (404, "not_found_error"), (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error"),
        (503, "api_error"), (529, "overloaded_error"),
    ],
)  # fmt: skip
def test_a_scripted_error_has_its_type(sim: Simulator, status: int, kind: str) -> None:
    answer = ask(sim, f"sim-error-{status}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert ("retry-after" in answer.headers) == (status == 429)
    assert sim.only_record()["end"] == "error"


def test_a_gateways_error_is_no_json(sim: Simulator) -> None:
    assert "html" in ask(sim, "sim-error-502").headers["content-type"]


def test_the_head_is_checked_first(sim: Simulator) -> None:
    body = {"model": "sim-mini", "max_tokens": 5, "messages": WORDS}
    assert "anthropic-version" in sim.http.post("/v1/messages", json=body).json()["error"]["message"]
    assert sim.http.get("/v1/messages", headers=VERSION).status_code == 405
    assert sim.http.post("/v1/messages", content=b"{", headers=VERSION).status_code == 400
    assert sim.http.post("/v1/messages/count_tokens", content=b"[]", headers=VERSION).status_code == 400
    counted = {"model": "sim-mini", "messages": []}
    assert sim.http.post("/v1/messages/count_tokens", json=counted, headers=VERSION).status_code == 400
    deep = b'{"model":"sim-mini","max_tokens":5,"messages":' + b"[" * 50_000
    assert sim.http.post("/v1/messages", content=deep, headers=VERSION).status_code == 400
    scripted = VERSION | {"x-sim-script": '{"words": 2}'}
    assert sim.http.post("/v1/messages", json=body, headers=scripted).json()["usage"]["output_tokens"] == 2
    odd = VERSION | {"x-sim-script": "[]"}
    assert sim.http.post("/v1/messages", json=body, headers=odd).status_code == 400


def test_a_key_is_asked_for_as_anthropics_client_sends_it() -> None:
    body = {"model": "sim-mini", "max_tokens": 5, "messages": WORDS}
    with run_simulator("--api-key", "sk-sim") as sim:

        def status(**headers: str) -> int:
            return sim.http.post("/v1/messages", json=body, headers=VERSION | headers).status_code

        assert status() == 401
        assert status(**{"x-api-key": "wrong"}) == 401
        assert status(**{"x-api-key": "sk-sim"}) == 200
        assert status(authorization="Bearer sk-sim") == 200
        assert sim.records()[2]["authorization"] is not None
