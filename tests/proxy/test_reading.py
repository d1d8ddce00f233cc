"""Frames, answers and statuses as recorded traffic has them."""

from __future__ import annotations

import json

import pytest

from proxy.bodies import edited, with_member
from proxy.providers.base import Traits, Verdict, verdict_of
from proxy.providers.openai_answers import ChatTap, read_answer
from proxy.streaming import Events, data_of


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_are_found_across_every_border_and_no_byte_is_lost(size: int) -> None:
    raw = (
        b"\xef\xbb\xbf: hi\r\n\r\ndata:a\n\ndata: b\ndata: c\r\n\r\nevent: x\rdata: d\r\rdata: e\n\r\ndata: f"
    )
    events = Events()
    found = [event for at in range(0, len(raw), size) for event in events.feed(raw[at : at + size])]
    rest = events.finish()
    assert b"".join(found) + rest == raw
    assert [data_of(event) for event in [*found, rest]] == [b"", b"a", b"b\nc", b"d", b"e", b"f"]


def test_the_last_usage_counts_and_null_says_nothing() -> None:
    tap = ChatTap(strip_usage=True)
    pieces = [
        {"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 1}},
        {"choices": [{"delta": {"content": "b"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
        {"choices": [], "usage": None, "prompt_filter_results": []},
    ]
    raw = b"".join(b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces)
    assert tap.feed(raw) == raw
    report = tap.report()
    assert report.usage is not None
    assert (report.usage.input_tokens, report.usage.output_tokens, report.text) == (5, 2, "ab")


def test_everything_that_was_generated_is_counted_as_text() -> None:
    tap = ChatTap(strip_usage=False)
    deltas = [
        {"content": None, "reasoning_content": "think"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a":'}}]},
        {"refusal": "no"},
        {"content": [{"type": "text", "text": "parts"}]},
    ]
    for delta in deltas:
        tap.feed(b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n")
    text = tap.report().text
    assert all(piece in text for piece in ("think", "f", '{"a":', "no", "parts"))


def test_a_last_chunk_that_nothing_ends_is_still_read_and_stripped() -> None:
    tap = ChatTap(strip_usage=True)
    assert tap.feed(b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}') == b""
    assert tap.finish() == b""
    assert tap.report().usage is not None
    other = ChatTap(strip_usage=True)
    assert other.feed(b"data: [DO") == b""
    assert other.finish() == b"data: [DO"


def test_odd_chunks_pass_and_their_usage_is_found() -> None:
    tap = ChatTap(strip_usage=True)
    odd = b'data: {"model":7,"choices":[{"delta":{"content":5}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
    assert tap.feed(odd + b"data: {broken\n\n") == odd + b"data: {broken\n\n"
    report = tap.report()
    assert report.usage is not None
    assert report.usage.output_tokens == 4


@pytest.mark.parametrize(
    ("body", "text", "impossible"),
    [
        (b'{"choices":[{"message":{"content":"hi"}}]}', "hi", False),
        (b'{"choices":[{"message":{"content":"hi"}}],"usage":null}', "hi", False),
        (b'{"choices":[{"message":{"content":"hi"}}],"usage":{}}', "hi", False),
        (
            b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":-1,"completion_tokens":1}}',
            "hi",
            True,
        ),
        (b'{"choices":[{"message":{"content":"hi"}}],"usage":"many"}', "hi", True),
        (b"<html>", "<html>", False),
    ],
)
def test_answers_without_a_usable_usage(body: bytes, text: str, impossible: bool) -> None:
    report = read_answer(body)
    assert (report.usage, report.text, bool(report.impossible)) == (None, text, impossible)


def test_an_error_inside_an_answer_is_seen() -> None:
    assert read_answer(b'{"error":{"message":"no"}}').error_inside


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.ANSWERED),
        (307, Verdict.NOT_BILLED),
        (400, Verdict.NOT_BILLED),
        (408, Verdict.AMBIGUOUS),
        (429, Verdict.NOT_BILLED),
        (500, Verdict.AMBIGUOUS),
        (503, Verdict.NOT_BILLED),
        (520, Verdict.AMBIGUOUS),
        (529, Verdict.NOT_BILLED),
    ],
)
def test_what_a_status_says_about_the_bill(status: int, verdict: Verdict) -> None:
    assert verdict_of(status, Traits()) is verdict
    assert verdict_of(status, Traits(verdicts={status: Verdict.AMBIGUOUS})) is (
        verdict if status == 200 else Verdict.AMBIGUOUS
    )


def test_a_body_is_edited_in_its_outermost_fields_alone() -> None:
    body = b'{ "model": "a/b", "messages": [ {"x" : 1.50} ], "seed": 12345678901234567890 }'
    assert edited(body, {}) is body
    changed = edited(body, {"model": "b", "max_tokens": 5})
    assert changed == b'{"model":"b","messages":[ {"x" : 1.50} ],"seed":12345678901234567890,"max_tokens":5}'
    assert with_member(b'{"o":{"a":1}}', "o", {"b": True}).keys() == {"a", "b"}
    assert with_member(b'{"o":null}', "o", {"b": True}) == {"b": True}
