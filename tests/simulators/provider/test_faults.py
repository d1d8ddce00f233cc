"""Faults on request, each with what it leaves on the bill."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

from tests.simulators.provider.conftest import PROMPT_TOKENS, WORDS, Simulator, wait_until
from tests.simulators.provider.test_streams import ASKED


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503, 529])
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_is_told_and_costs_nothing(sim: Simulator, status: int, stream: bool) -> None:
    answer = sim.ask(f"sim-error-{status}", stream=stream)
    assert answer.status_code == status
    if status == 502:
        assert answer.headers["content-type"] == "text/html"
        assert answer.text.startswith("<html>")
    else:
        assert answer.json()["error"]["message"]
    assert ("retry-after" in answer.headers) is (status == 429)
    record = sim.only_record()
    assert (record["status"], record["end"], record["billed_nanousd"]) == (status, "error", 0)


def test_an_error_may_come_late(sim: Simulator) -> None:
    assert sim.ask("sim-error-500-slow-20").status_code == 500
    assert sim.only_record()["billed_nanousd"] == 0


def test_a_cut_stream_ends_after_its_words_and_bills_them(sim: Simulator) -> None:
    stream = sim.stream("sim-cut-2", **ASKED)
    assert (stream.broken, stream.done, stream.text) == (True, False, "tok1 tok2 ")
    record = sim.only_record()
    assert (record["end"], record["completion_tokens"], record["reported_usage"]) == ("cut", 2, None)
    assert record["billed_nanousd"] == PROMPT_TOKENS * 1000 + 2 * 2000


def test_a_cut_stream_never_reaches_its_end(sim: Simulator) -> None:
    stream = sim.stream("sim-cut-50-words-3", **ASKED)
    assert (stream.broken, stream.text, stream.usages) == (True, "tok1 tok2 tok3 ", [])
    assert stream.chunks[-1]["choices"][0]["finish_reason"] is None


def test_a_cut_json_answer_is_half_and_billed_whole(sim: Simulator) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        sim.ask("sim-cut-2-words-8")
    record = sim.only_record()
    assert (record["end"], record["completion_tokens"], record["reported_usage"]) == ("cut", 8, None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_is_no_end_but_an_error(sim: Simulator, stream: bool) -> None:
    with pytest.raises(httpx.ReadError):
        sim.ask("sim-reset", stream=stream)
    record = sim.only_record()
    assert (record["end"], record["status"], record["billed_nanousd"]) == ("reset", None, 0)


def test_a_hang_lasts_until_the_caller_gives_up(sim: Simulator) -> None:
    body = {"model": "sim-hang", "messages": WORDS}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sim.base_url}/chat/completions", json=body, timeout=0.05)
    record = sim.only_record()
    assert (record["end"], record["status"], record["billed_nanousd"]) == ("hung", None, 0)


def test_a_stall_keeps_the_line_open_and_bills_what_was_said(sim: Simulator) -> None:
    body = {"model": "sim-stall-3", "messages": WORDS, "stream": True}
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.stream("POST", f"{sim.base_url}/chat/completions", json=body, timeout=0.05) as answer,
    ):
        answer.read()
    record = sim.only_record()
    assert (record["end"], record["status"], record["completion_tokens"]) == ("stalled", 200, 3)


def test_an_error_inside_a_stream_ends_it_and_bills_what_was_said(sim: Simulator) -> None:
    stream = sim.stream("sim-midstream-error-words-8", **ASKED)
    assert stream.chunks[-1]["error"]["type"] == "server_error"
    assert (stream.done, stream.broken, stream.usages) == (False, False, [])
    record = sim.only_record()
    assert (record["end"], record["completion_tokens"]) == ("midstream_error", 4)
    answer = sim.ask("sim-midstream-error")
    assert (answer.status_code, list(answer.json())) == (200, ["error"])


@pytest.mark.parametrize("stream", [False, True])
def test_over_reports_and_bills_more_than_was_said(sim: Simulator, stream: bool) -> None:
    if stream:
        usage = sim.stream("sim-over-50", max_tokens=11, **ASKED).usages[0]
    else:
        usage = sim.ask("sim-over-50", max_tokens=11).json()["usage"]
    assert usage["completion_tokens"] == 17
    assert sim.only_record()["billed_nanousd"] == PROMPT_TOKENS * 1000 + 17 * 2000


@pytest.mark.parametrize("model", ["sim-words-1000-drip-5", "sim-words-5-slow-60000"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_who_leaves_is_billed_for_what_was_generated(
    sim: Simulator, model: str, stream: bool
) -> None:
    body = json.dumps({"model": model, "messages": WORDS, "stream": stream}).encode()
    address = httpx.URL(sim.base_url)
    with socket.create_connection((address.host, address.port or 80)) as caller:
        caller.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        wait_until(lambda: sim.bill()["open"] == 1)
        if stream and "drip" in model:
            while b"tok3 " not in caller.recv(4096):
                pass
    record = sim.only_record()
    assert (record["end"], record["prompt_tokens"]) == ("client_gone", PROMPT_TOKENS)
    generated = record["completion_tokens"]
    assert generated < 1000
    if "slow" in model:
        assert generated == 0
    elif stream:
        assert generated >= 3
    assert record["billed_nanousd"] == PROMPT_TOKENS * 1000 + generated * 2000
