"""What Gemini says back, read from recordings and from bytes cut anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import UsageError
from metering.gemini import usage_from_gemini
from proxy.providers.base import Report
from proxy.providers.gemini_answers import ArrayTap, EventTap, read_answer
from proxy.providers.gemini_array import Elements, element_of
from proxy.providers.gemini_errors import ArrayErrors
from tests.metering.test_gemini_recordings import generated
from tests.metering.test_recordings import DATA

CHUNK_BYTES = 777
# Answered by Gemma with a text and the prompt's count alone: its output is counted, not taken for nothing.
WITHOUT_OUTPUT = {"rec_48ae7cb15d395c929a51"}
texts = st.text(alphabet=st.sampled_from('ab"\\{}[],: \n\u00e9'), max_size=12)
documents = st.recursive(
    st.one_of(texts, st.integers(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
elements = st.lists(st.dictionaries(texts, documents, max_size=3), max_size=5)


def heard(tap: EventTap | ArrayTap, body: bytes) -> Report:
    """Let a tap hear a body in pieces; what it passes on must be the very bytes."""
    passed = b"".join(
        tap.feed(body[place : place + CHUNK_BYTES]) for place in range(0, len(body), CHUNK_BYTES)
    )
    assert passed + tap.finish() == body
    return tap.report()


def reports() -> Iterator[tuple[dict[str, Any], Report]]:
    for row in generated():
        body, model = row["response_body"], row["model"]
        if isinstance(body, str):
            yield row, heard(EventTap(model), body.encode())
        elif isinstance(body, list):
            for indent in (None, 2):
                yield row, heard(ArrayTap(model, ArrayErrors()), json.dumps(body, indent=indent).encode())
        else:
            yield row, read_answer(json.dumps(body).encode(), model)


def test_every_recorded_answer_tells_its_usage() -> None:
    if not DATA.is_dir():
        pytest.skip(f"no recorded calls at {DATA}: set FAREBOX_DATA")
    compared = 0
    for row, report in reports():
        if row["id"] in WITHOUT_OUTPUT:
            assert (report.usage, bool(report.prompt)) == (None, True)
            continue
        try:
            told = usage_from_gemini(row["usage_raw"])
        except UsageError:
            assert report.impossible
            continue
        assert (report.usage is None) is (told is None), row["id"]
        if report.usage is not None and told is not None:
            assert list(report.usage.tokens()) == list(told.tokens()), row["id"]
            assert not report.response_model.startswith("models/")
            compared += 1
    assert compared > 800


@given(elements, st.integers(1, 9), st.sampled_from([None, 1]))
def test_an_array_is_cut_into_its_elements_wherever_its_bytes_are(
    told: list[dict[str, Any]], chunk_bytes: int, indent: int | None
) -> None:
    body = json.dumps(told, indent=indent, ensure_ascii=False).encode()
    found = Elements()
    pieces = [
        piece
        for place in range(0, len(body), chunk_bytes)
        for piece in found.feed(body[place : place + chunk_bytes])
    ]
    assert [json.loads(element_of(piece)) for piece in pieces] == told
    assert b"".join(pieces) + found.finish() == body


def test_an_object_in_the_stead_of_an_array_is_read() -> None:
    tap = ArrayTap("m", ArrayErrors())
    body = b'{"error": {"code": 503}}'
    assert tap.feed(body) == b""
    assert tap.finish() == body
    assert tap.report().error_inside


def test_a_stream_that_breaks_off_tells_its_prompt_alone() -> None:
    tap = EventTap("m")
    chunk = {
        "candidates": [{"content": {"parts": [{"text": "a"}]}}],
        "usageMetadata": {"promptTokenCount": 5},
    }
    tap.feed(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n")
    report = tap.report()
    assert report.usage is None
    assert report.prompt is not None
    assert (report.prompt.input_tokens, report.text, report.thought) == (5, "a", False)


def test_calls_code_and_thoughts_are_seen() -> None:
    parts = [
        {"text": "hm", "thought": True},
        {"functionCall": {"name": "f", "args": {"a": 1}}},
        {"executableCode": {"code": "1+1"}},
        {"codeExecutionResult": {"output": "2"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]
    report = read_answer(json.dumps({"candidates": [{"content": {"parts": parts}}]}).encode(), "m")
    assert report.thought
    assert report.tool_calls == 1
    assert all(word in report.text for word in ("hm", '"f"', "1+1", '"2"'))
    assert "AAAA" not in report.text
    spent = {"candidates": [], "usageMetadata": {"promptTokenCount": 1, "thoughtsTokenCount": 4}}
    assert read_answer(json.dumps(spent).encode(), "m").thought
