"""Every recorded Responses answer, read as the proxy reads it: the usage it told, and no byte of it changed."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.tokens import count
from proxy.providers.base import Report
from proxy.providers.responses_answers import ResponsesTap, read_answer

DATA = Path(os.environ.get("FAREBOX_DATA", Path(__file__).parents[3] / "shared" / "data")) / "recordings"


@pytest.fixture(scope="module", autouse=True)
def _data() -> None:
    if not DATA.is_dir():
        pytest.skip(f"no recorded calls at {DATA}: set FAREBOX_DATA")


def answers() -> Iterator[dict[str, Any]]:
    for path in sorted(DATA.glob("*responses*.jsonl.gz")):
        if path.name.startswith("bedrock__") or "input_tokens" in path.name:
            continue
        with gzip.open(path) as lines:
            yield from (row for row in map(json.loads, lines) if row["status"] == 200)


def read(row: dict[str, Any]) -> Report:
    body = row["response_body"]
    if not row["stream"]:
        return read_answer(json.dumps(body).encode())
    tap, raw = ResponsesTap(), body.encode()
    passed = [tap.feed(raw[place : place + 1000]) for place in range(0, len(raw), 1000)]
    assert b"".join(passed) + tap.finish() == raw
    return tap.report()


def test_every_recorded_answer_is_read_as_it_was_reported() -> None:
    seen = Counter[str]()
    for row in answers():
        report, told = read(row), row["usage"]
        assert report.impossible == ""
        if told is None:
            assert (report.usage, report.thought) == (None, True), row["id"]
            seen["queued"] += 1
            continue
        assert report.usage is not None, row["id"]
        assert report.usage.all_input_tokens == told["input_tokens"], row["id"]
        assert report.usage.all_output_tokens == told["output_tokens"], row["id"]
        assert report.response_model == (row["response_model"] or ""), row["id"]
        seen["stream" if row["stream"] else "whole"] += 1
        seen.update(f"fee {name}" for name, _ in report.usage.extras)
    assert seen["stream"] >= 130
    assert seen["whole"] >= 430
    assert seen["queued"] >= 4
    assert seen["fee web_search"] >= 20


def test_recorded_streams_of_plain_models_are_estimated_near_what_they_reported() -> None:
    near = total = 0
    for row in answers():
        report = read(row) if row["stream"] else Report()
        if report.usage is None or report.usage.reasoning_tokens or report.tool_calls or not report.text:
            continue
        total += 1
        near += abs(report.usage.output_tokens - count(report.text, "o200k_base")) <= 9
    assert total >= 30
    assert near >= 0.95 * total
