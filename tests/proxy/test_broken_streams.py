"""Streams as they really break: the row says what is known, and the caller gets the bytes that came."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.proxy.conftest import Proxy, Tenant, wait_for
from tests.proxy.echo import ANSWER, Echo
from tests.proxy.messages import speak_anthropic
from tests.proxy.test_streams import COST, USAGE, chunk, documents, stream

DONE = b"data: [DONE]\n\n"
REPORTED = chunk(usage=USAGE)
ZERO = chunk(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
MODEL = "sim-mini"
# hi, usage and [DONE] as chunks of a stream.
BROTLI = base64.b64decode(
    "G+4AQIzCcW9pj2GIW3sjaG6pyuUJDouY6hgrBj9MBA3CsHUUWPo+PQ2UC9paFBZEUaAht8DPBzdZKY4AG94uDu99GuLAZ0w+eKLPPa4wN9mU"
    "Ib5ZEviLwWriDB/itNVjALX411dY1OmrGP5Bj/ttSz8etoRY1mGlcljKnJ8r5R9jrwU="
)


class Scripted(Echo):
    """Writes its answer as told, and may break off without an end."""

    cut = False

    def _answer(self, connection: socket.socket) -> None:
        if not self.cut:
            super()._answer(connection)
            return
        head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head % (self.status, self.kind))
        for piece in self.pieces:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        raise ConnectionAbortedError


class Case:
    """A tenant whose provider is scripted."""

    def __init__(self, tenant: Tenant, proxy: Proxy, provider: Scripted) -> None:
        self.tenant, self.proxy, self.provider = tenant, proxy, provider
        tenant.publish(accounts=(tenant.account("main", default=True, base_url=provider.base_url),))
        provider.kind = b"text/event-stream"
        self.budget = tenant.budget("1000.00")
        self.key = tenant.key(tenant.customer(self.budget))

    def play(self, *pieces: bytes, asks: bool = False, cut: bool = False) -> bytes:
        """Have a stream answered by these pieces; returns what reached the caller."""
        self.provider.pieces, self.provider.cut = list(pieces), cut
        options = {"stream_options": {"include_usage": True}} if asks else {}
        answer, raw = stream(self.proxy, self.key, max_tokens=100, **options)
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers
        return raw

    def row(self) -> tuple[str, int, str]:
        """Basis, cost and end of the one row, which is what the budget counts."""
        [(_, basis, cost, body)] = self.tenant.rows()
        assert self.tenant.spent(self.budget) == (cost, 0)
        return basis, cost, body.end

    def quote(self) -> int:
        [(_, _, _, body)] = self.tenant.rows()
        return body.quote_cost_nanousd


@pytest.fixture
def provider() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def case(acme: Tenant, proxy: Proxy, provider: Scripted) -> Case:
    return Case(acme, proxy, provider)


@pytest.mark.parametrize("asks", [False, True])
def test_a_cut_inside_an_event_leaves_out_its_half_and_ends_with_an_error(case: Case, asks: bool) -> None:
    raw = case.play(chunk("hi"), b'data: {"id":"x","choi', asks=asks, cut=True)
    assert raw.startswith(chunk("hi") + b'data: {"error"')
    assert documents(raw)[-1]["error"]["code"] == "provider_error"
    assert case.row() == ("unresolved", case.quote(), "cut")


def test_a_cut_inside_an_event_of_messages_leaves_out_its_half_too(case: Case) -> None:
    speak_anthropic(case.tenant, base_url=case.provider.base_url.removesuffix("/v1"))
    case.provider.pieces, case.provider.cut = (
        [b'event: ping\ndata: {"type":"ping"}\n\n', b"event: cont"],
        True,
    )
    body = {"model": MODEL, "max_tokens": 50, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    answer = httpx.post(
        f"{case.proxy.url}/v1/messages", json=body, headers={"x-api-key": case.key}, timeout=20
    )
    assert answer.content.startswith(b'event: ping\ndata: {"type":"ping"}\n\nevent: error\ndata: {')
    assert case.row()[0] == "unresolved"


def test_a_cut_after_the_usage_is_booked_as_reported(case: Case) -> None:
    raw = case.play(chunk("hi"), REPORTED, cut=True)
    assert raw.startswith(chunk("hi") + b'data: {"error"')
    assert case.row() == ("reported", COST, "cut")


def test_a_missing_done_is_nobodys_loss(case: Case) -> None:
    assert case.play(chunk("hi"), REPORTED) == chunk("hi")
    assert case.row() == ("reported", COST, "complete")


def test_a_last_event_that_nothing_ends_reaches_the_caller_and_the_books(case: Case) -> None:
    last = REPORTED.removesuffix(b"\n\n")
    assert case.play(chunk("hi"), last, asks=True) == chunk("hi") + last
    assert case.row() == ("reported", COST, "complete")


USAGE_LINES = (
    b'data: {"id":"x","model":"sim-mini",\ndata:"choices":[],\n'
    b'data: "usage":{"prompt_tokens":8,\ndata: "completion_tokens":3,"total_tokens":11}}\n\n'
)


@pytest.mark.parametrize(
    "usage",
    [
        USAGE_LINES,
        USAGE_LINES.replace(b"\n", b"\r\n"),
        REPORTED.replace(b"data: ", b"data:"),
        b"id: 7\nretry: 3000\nevent: message\n" + REPORTED,
        b": keep-alive\n" + REPORTED,
        REPORTED.replace(b"\n", b"\r"),
    ],
    ids=["several lines", "several lines, CRLF", "no space", "other fields", "comment", "CR alone"],
)
@pytest.mark.parametrize("asks", [False, True])
def test_usage_is_read_in_every_form_that_the_standard_allows(case: Case, usage: bytes, asks: bool) -> None:
    raw = case.play(chunk("hi"), usage, DONE, asks=asks)
    assert raw == chunk("hi") + (usage if asks else b"") + DONE
    assert case.row() == ("reported", COST, "complete")


def test_a_byte_order_mark_hides_nothing(case: Case) -> None:
    marked = b"\xef\xbb\xbf" + chunk("hi")
    assert case.play(marked, REPORTED, DONE) == marked + DONE
    assert case.row() == ("reported", COST, "complete")


def test_every_byte_may_come_alone_and_two_events_at_once(case: Case) -> None:
    whole = chunk("hi") + REPORTED
    case.provider.between_seconds = 0.0002
    raw = case.play(*[whole[place : place + 1] for place in range(len(whole))], chunk("ho") + DONE)
    assert raw == chunk("hi") + chunk("ho") + DONE
    assert case.row() == ("reported", COST, "complete")


FIRST = chunk("h", usage={"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9})
LAST = chunk("i", usage=USAGE)
NULL = chunk("!", usage=None)


@pytest.mark.parametrize(
    "pieces",
    [
        (FIRST, LAST),
        (FIRST, LAST, NULL),
        (chunk("h"), LAST),
        (LAST, chunk("i")),
        (chunk("hi", usage=None), LAST),
    ],
    ids=["in every chunk", "null after it", "in the last choice", "not last", "null before it"],
)
def test_usage_beside_choices_counts_once_and_stays(case: Case, pieces: tuple[bytes, ...]) -> None:
    assert case.play(*pieces, DONE) == b"".join(pieces) + DONE
    assert case.row() == ("reported", COST, "complete")


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("told", [(), (ZERO,), (chunk(usage=None),), (REPORTED, ZERO)])
def test_text_without_a_usage_to_believe_is_never_free(
    case: Case, told: tuple[bytes, ...], asks: bool
) -> None:
    case.play(chunk("hi there"), *told, DONE, asks=asks)
    basis, cost, _ = case.row()
    assert basis == "estimated"
    assert 0 < cost <= case.quote()


ERROR = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
ERROR_WITH_USAGE = (
    b'data: {"error":{"message":"overloaded"},"choices":[],"usage":' + json.dumps(USAGE).encode() + b"}\n\n"
)


@pytest.mark.parametrize(
    ("pieces", "basis"),
    [((ERROR,), "estimated"), ((ERROR, REPORTED), "reported"), ((ERROR_WITH_USAGE,), "reported")],
    ids=["error alone", "usage after it", "usage in it"],
)
def test_an_error_in_the_middle_is_passed_on_and_what_was_used_is_booked(
    case: Case, pieces: tuple[bytes, ...], basis: str
) -> None:
    raw = case.play(chunk("hi"), *pieces)
    assert raw == chunk("hi") + pieces[0]
    assert case.row()[0] == basis
    assert case.row()[2] == "error_inside"
    if basis == "reported":
        assert case.row()[1] == COST


def test_an_event_of_ten_megabytes_passes_whole_and_holds_nobody_up(case: Case) -> None:
    big = chunk("x" * 10_000_000)
    raw = case.play(*[big[place : place + 16_384] for place in range(0, len(big), 16_384)], REPORTED, DONE)
    assert raw == big + DONE
    assert case.row() == ("reported", COST, "complete")


def test_an_event_without_end_is_given_up(case: Case) -> None:
    case.provider.pieces, case.provider.cut = [chunk("hi"), *[b"data: " + b"x" * 1_000_000] * 40], False
    _, raw = stream(case.proxy, case.key, max_tokens=100)
    assert raw.startswith(chunk("hi") + b'data: {"error"')
    assert case.row() == ("unresolved", case.quote(), "cut")


PLAIN = chunk("hi") + REPORTED + DONE


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", gzip.compress(PLAIN, mtime=0)),
        (b"deflate", zlib.compress(PLAIN)),
        (b"br", BROTLI),
    ],
)
@pytest.mark.parametrize("cut_bytes", [1, 10_000])
def test_a_stream_encoded_unasked_is_decoded(
    case: Case, encoding: bytes, body: bytes, cut_bytes: int
) -> None:
    case.provider.extra_headers = b"content-encoding: " + encoding + b"\r\n"
    raw = case.play(*[body[place : place + cut_bytes] for place in range(0, len(body), cut_bytes)])
    assert [document["choices"][0]["delta"]["content"] for document in documents(raw)] == ["hi"]
    assert case.row() == ("reported", COST, "complete")


@pytest.mark.parametrize("encoding", [b"compress", b"gzip, br", b"GZIP"])
@pytest.mark.parametrize("kind", [b"text/event-stream", b"application/json"])
def test_what_cannot_be_decoded_is_refused_and_stays_at_its_quote(
    case: Case, encoding: bytes, kind: bytes
) -> None:
    case.provider.extra_headers, case.provider.kind = b"content-encoding: " + encoding + b"\r\n", kind
    case.provider.pieces = [b"\x1f\x9d\x90" + b"?" * 200]
    answer, raw = stream(case.proxy, case.key, max_tokens=100)
    assert (answer.status_code, json.loads(raw)["error"]["code"]) == (502, "provider_error")
    assert "encod" in json.loads(raw)["error"]["message"]
    assert case.row() == ("unresolved", case.quote(), "unreadable")


def test_an_error_that_cannot_be_decoded_is_told_in_our_words(case: Case) -> None:
    case.provider.extra_headers = b"content-encoding: compress\r\n"
    case.provider.status, case.provider.kind = b"400 Bad Request", b"application/json"
    case.provider.pieces = [b"\x1f\x9d\x90" + b"?" * 200]
    answer, raw = stream(case.proxy, case.key, max_tokens=100)
    assert answer.status_code == 502
    assert json.loads(raw)["error"]["code"] == "provider_error"
    assert case.row() == ("none", 0, "refused")


@pytest.mark.parametrize(
    "encoded", [gzip.compress(PLAIN, mtime=0)[:60], b"\x1f\x8b" + b"?" * 60], ids=["cut off", "nonsense"]
)
def test_an_encoding_that_breaks_is_a_stream_that_breaks(case: Case, encoded: bytes) -> None:
    case.provider.extra_headers = b"content-encoding: gzip\r\n"
    raw = case.play(encoded)
    assert documents(raw)[-1]["error"]["code"] == "provider_error"
    assert case.row() == ("unresolved", case.quote(), "cut")


def test_a_whole_answer_encoded_unasked_is_decoded(case: Case) -> None:
    case.provider.kind, case.provider.pieces = b"application/json", [gzip.compress(ANSWER)]
    case.provider.extra_headers = b"content-encoding: gzip\r\n"
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "max_tokens": 9}
    headers = {"authorization": f"Bearer {case.key}"}
    answer = httpx.post(f"{case.proxy.url}/v1/chat/completions", json=body, headers=headers)
    assert answer.content == ANSWER
    assert "content-encoding" not in answer.headers
    wait_for(case.tenant.rows)
    assert case.row() == ("reported", 8 * 1000 + 1 * 2000, "complete")
