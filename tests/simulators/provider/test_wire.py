"""The connection itself: keep-alive, pipelining, bodies in pieces, many callers at once."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import pytest

from tests.simulators.provider.conftest import WORDS, Simulator

BODY = json.dumps({"model": "sim-words-1", "messages": WORDS}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"


def talk(sim: Simulator, *pieces: bytes, until: bytes = b"") -> bytes:
    """Send pieces and read until the provider closes, or until a mark has come."""
    address = httpx.URL(sim.base_url)
    read = b""
    with socket.create_connection((address.host, address.port or 80), timeout=5) as caller:
        for piece in pieces:
            caller.sendall(piece)
        while piece := caller.recv(65536):
            read += piece
            if until and until in read:
                break
    return read


def test_pipelined_requests_are_answered_in_order(sim: Simulator) -> None:
    requests = [
        HEAD + b"x-sim-script: %b\r\ncontent-length: %d\r\n%b\r\n" % (script, len(BODY), closing) + BODY
        for script, closing in (
            (b'{"latency_ms": 20, "words": 1}', b""),
            (b'{"words": 2}', b""),
            (b'{"words": 3}', b"connection: close\r\n"),
        )
    ]
    read = talk(sim, b"".join(requests))
    assert read.count(b"HTTP/1.1 200 OK") == 3
    assert read.index(b'"tok1 "') < read.index(b'"tok1 tok2 "') < read.index(b'"tok1 tok2 tok3 "')


def test_a_body_may_come_in_chunks_and_wait_to_be_asked_for(sim: Simulator) -> None:
    head = HEAD + b"connection: close\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
    read = talk(sim, head, *(b"1\r\n%c\r\n" % byte for byte in BODY), b"0\r\n\r\n")
    assert read.startswith(b"HTTP/1.1 100 Continue")
    assert b'"tok1 "' in read


def test_what_is_not_http_is_told_so(sim: Simulator) -> None:
    assert talk(sim, b"\x16\x03\x01\r\n\r\n").startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("model", ["sim-words-20-drip-20", "sim-words-20-slow-100"])
async def test_hundreds_of_streams_run_at_once(sim: Simulator, model: str) -> None:
    body = json.dumps({"model": model, "messages": WORDS, "stream": True}).encode()
    request = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    address = httpx.URL(sim.base_url)

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        read = await reader.read()
        writer.close()
        await writer.wait_closed()
        return read

    answers = await asyncio.gather(*(one() for _ in range(400)))
    assert all(answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for answer in answers)
    assert sim.bill()["completion_tokens"] == 400 * 20
