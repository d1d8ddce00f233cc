"""Anthropic's Messages as a stream: its events, its usage, and the ways it breaks off."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.simulators.provider.conftest import PROMPT_TOKENS, WORDS, Simulator, wait_until
from tests.simulators.provider.test_messages import TOOL, VERSION

USUAL = ["message_start", "content_block_start", "ping"]


@dataclass
class Heard:
    """What came out of a stream."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    raw: bytes = b""
    broken: bool = False

    def of(self, name: str) -> list[dict[str, Any]]:
        return [data for event, data in self.events if event == name]

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]

    @property
    def text(self) -> str:
        return "".join(data["delta"].get("text", "") for data in self.of("content_block_delta"))


def stream(sim: Simulator, model: str, **body: Any) -> Heard:
    """Read a stream to its end, however it ends."""
    wanted = {"model": model, "max_tokens": 100, "messages": WORDS, "stream": True, **body}
    heard = Heard()
    try:
        with sim.http.stream("POST", "/anthropic/v1/messages", json=wanted, headers=VERSION) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for piece in answer.iter_bytes():
                heard.raw += piece
    except httpx.RemoteProtocolError:
        heard.broken = True
    for event in heard.raw.decode().replace("\r\n", "\n").split("\n\n")[:-1]:
        name, _, data = event.partition("\n")
        parsed = json.loads(data.removeprefix("data: "))
        assert name == f"event: {parsed['type']}"
        heard.events.append((parsed["type"], parsed))
    return heard


def test_a_stream_has_anthropics_events_in_order(sim: Simulator) -> None:
    heard = stream(sim, "sim-words-3")
    ending = ["content_block_stop", "message_delta", "message_stop"]
    assert heard.names == USUAL + ["content_block_delta"] * 3 + ending
    assert heard.text == "tok1 tok2 tok3 "
    (start,) = heard.of("message_start")
    message = start["message"]
    assert (message["type"], message["role"], message["content"]) == ("message", "assistant", [])
    assert (message["stop_reason"], message["model"]) == (None, "sim-words-3")
    assert message["usage"]["input_tokens"] == PROMPT_TOKENS
    assert message["usage"]["output_tokens"] == 1
    (end,) = heard.of("message_delta")
    assert end["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert end["usage"] == {
        "input_tokens": PROMPT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 3,
    }
    assert sim.only_record()["completion_tokens"] == 3


def test_cumulative_usage_has_the_cache_and_the_thinking(sim: Simulator) -> None:
    heard = stream(sim, "sim-words-3-reasoning-20-cached-2-cachewrite-3-cachewrite1h-1")
    start, end = heard.of("message_start")[0]["message"]["usage"], heard.of("message_delta")[0]["usage"]
    lifetimes = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 1}
    assert start["cache_creation"] == lifetimes
    assert end == {
        "input_tokens": PROMPT_TOKENS - 6,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 2,
        "output_tokens": 23,
        "output_tokens_details": {"thinking_tokens": 20},
    }
    kinds = [data["content_block"]["type"] for data in heard.of("content_block_start")]
    assert kinds == ["thinking", "text"]
    deltas = [data["delta"]["type"] for data in heard.of("content_block_delta")]
    assert deltas == ["thinking_delta", "signature_delta", "text_delta", "text_delta", "text_delta"]
    assert [data["index"] for data in heard.of("content_block_stop")] == [0, 1]


def test_a_tools_arguments_come_in_pieces(sim: Simulator) -> None:
    heard = stream(sim, "sim-tools", tools=[TOOL])
    block = heard.of("content_block_start")[0]["content_block"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "get_weather", {})
    pieces = [data["delta"]["partial_json"] for data in heard.of("content_block_delta")]
    assert pieces[0] == ""
    assert json.loads("".join(pieces)) == {"city": "tok1 tok2", "days": 1}
    end = heard.of("message_delta")[0]
    assert end["delta"]["stop_reason"] == "tool_use"
    assert end["usage"]["output_tokens"] == len(pieces) == sim.only_record()["completion_tokens"]


def test_a_stream_may_tell_no_usage_or_none_of_it(sim: Simulator) -> None:
    silent = stream(sim, "sim-words-3-nousage")
    assert "usage" not in silent.of("message_start")[0]["message"]
    assert "usage" not in silent.of("message_delta")[0]
    lying = stream(sim, "sim-words-3-zerousage")
    assert lying.of("message_start")[0]["message"]["usage"]["output_tokens"] == 0
    assert lying.of("message_delta")[0]["usage"]["output_tokens"] == 0
    assert [record["completion_tokens"] for record in sim.records()] == [3, 3]


def test_lines_may_end_otherwise_and_pings_stand_between(sim: Simulator) -> None:
    heard = stream(sim, "sim-words-11-crlf-comments-gzip")
    assert b"\r\n\r\n" in heard.raw
    assert heard.names.count("ping") == 3
    assert heard.text.split()[-1] == "tok11"
    ending = stream(sim, "sim-words-11", max_tokens=4)
    assert ending.of("message_delta")[0]["delta"]["stop_reason"] == "max_tokens"


def test_a_cut_stream_is_billed_for_what_was_said(sim: Simulator) -> None:
    heard = stream(sim, "sim-words-9-cut-4")
    assert heard.broken
    assert heard.names == [*USUAL, *["content_block_delta"] * 4]
    record = sim.only_record()
    assert (record["end"], record["completion_tokens"], record["reported_usage"]) == ("cut", 4, None)


def test_an_error_may_come_in_the_middle(sim: Simulator) -> None:
    heard = stream(sim, "sim-words-8-midstream-error")
    assert heard.names[-1] == "error"
    error = heard.of("error")[0]
    assert error["error"] == {"type": "overloaded_error", "message": "Overloaded"}
    assert sim.only_record()["end"] == "midstream_error"
    whole = sim.http.post(
        "/v1/messages",
        json={"model": "sim-midstream-error", "max_tokens": 9, "messages": WORDS},
        headers=VERSION,
    )
    assert whole.json()["type"] == "error"


@pytest.mark.parametrize("model", ["sim-words-5-drip-5", "sim-slow-20-words-2", "sim-error-529-slow-5"])
def test_waits_are_waited(sim: Simulator, model: str) -> None:
    wanted = {"model": model, "max_tokens": 100, "messages": WORDS, "stream": "error" not in model}
    answer = sim.http.post("/v1/messages", json=wanted, headers=VERSION)
    assert answer.status_code == (529 if "error" in model else 200)
    assert answer.elapsed.total_seconds() >= 0.005


@pytest.mark.parametrize(("model", "end"), [("sim-hang", "hung"), ("sim-stall-2", "stalled")])
def test_a_caller_may_wait_in_vain(sim: Simulator, model: str, end: str) -> None:
    wanted = {"model": model, "max_tokens": 100, "messages": WORDS, "stream": True}
    with pytest.raises(httpx.ReadTimeout):
        sim.http.post("/v1/messages", json=wanted, headers=VERSION, timeout=0.3)
    wait_until(lambda: sim.bill()["open"] == 0)
    assert sim.only_record()["end"] == end


def test_a_connection_may_be_reset(sim: Simulator) -> None:
    wanted = {"model": "sim-reset", "max_tokens": 100, "messages": WORDS}
    with pytest.raises(httpx.TransportError):
        sim.http.post("/v1/messages", json=wanted, headers=VERSION)
    assert sim.only_record()["billed_nanousd"] == 0
