from __future__ import annotations

import gzip
import json
import os
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from metering.errors import Uncountable
from metering.openai_chat import bound_chat, decode_chat
from metering.providers import canonical_provider, find_provider
from metering.quote import BoundClass
from metering.usage import Usage
from metering.usage_openai import usage_from_openai

DATA = Path(os.environ.get("FAREBOX_DATA", Path(__file__).parents[3] / "shared" / "data")) / "recordings"
CHATS = ("openai__v1_chat_completions", "azure__openai_deployments_deployment_chat_completions")


@pytest.fixture(scope="module", autouse=True)
def _data() -> None:
    if not DATA.is_dir():
        pytest.skip(f"no recorded calls at {DATA}: set FAREBOX_DATA")


def rows(*names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        with gzip.open(DATA / f"{name}.jsonl.gz") as lines:
            yield from map(json.loads, lines)


def usable(row: dict[str, Any]) -> bool:
    """Rows whose request is whole and whose usage the provider itself reported."""
    body, usage = row["request_body"], row["usage"]
    edited = "edited-usage" in row["features"] or any("rq" in str(tag) for tag in row["redacted"] or ())
    return (
        isinstance(body, dict)
        and bool(usage and usage["input_tokens"] and row["model"])
        and not (edited or row["request_body_trimmed"] or row["suspect_synthetic"])
    )


@dataclass(frozen=True)
class Bounded:
    """A recorded request's bound beside what was reported for it."""

    row_id: str
    bound_class: BoundClass
    ratio: float
    plain: bool  # neither tools nor a schema


def distinct(*names: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], bytes]]:
    """Each distinct usable request of some files: its row, its body and the body's bytes."""
    seen = set()
    for row in filter(usable, rows(*names)):
        body = row["request_body"] | {"model": row["request_body"].get("model") or row["model"]}
        content = json.dumps(body, ensure_ascii=False).encode()
        if (row["provider"], content) not in seen:
            seen.add((row["provider"], content))
            yield row, body, content


def bounds(*names: str) -> Iterator[Bounded]:
    """The bound of each distinct chat that has one, pictures aside."""
    for row, body, content in distinct(*names):
        provider = "azure-deployments" if row["provider"] == "azure" else canonical_provider(row["provider"])
        try:
            found = bound_chat(decode_chat(content), provider=provider)
        except Uncountable:
            continue
        if not found.image_tokens:
            has_schema = (body.get("response_format") or {}).get("type") == "json_schema"
            plain = not (body.get("tools") or body.get("functions") or has_schema)
            yield Bounded(row["id"], found.bound_class, found.tokens / row["usage"]["input_tokens"], plain)


def middle(found: list[Bounded]) -> float:
    """The median of bound by reported tokens."""
    return statistics.median(one.ratio for one in found)


def test_recorded_chats_of_openais_models_seldom_exceed_their_bound() -> None:
    found = list(bounds(*CHATS))
    assert len(found) > 900
    # The one row's answer was recorded to another request than stands beside it.
    assert [one.row_id for one in found if one.ratio < 1] == ["rec_8bd5abf3491adc0f8557"]
    exact = [one for one in found if one.bound_class is BoundClass.EXACT]
    assert sum(one.ratio == 1 for one in exact) >= 0.97 * len(exact)
    assert middle([one for one in found if one.plain]) <= 1.05
    assert middle([one for one in found if not one.plain]) <= 1.35


def test_recorded_chats_of_other_models_never_exceed_their_bound() -> None:
    names = [path.name.removesuffix(".jsonl.gz") for path in sorted(DATA.glob("*chat_completions.jsonl.gz"))]
    others = list(bounds(*(name for name in names if name not in CHATS)))
    assert len(others) > 1_000
    assert [one for one in others if one.ratio < 1] == []
    named = [one for one in others if one.bound_class is BoundClass.EMPIRICAL]
    assert len(named) > 0.9 * len(others)
    assert middle(named) <= 2


def test_every_recorded_report_is_decomposed_to_the_token() -> None:
    decomposed, different = Counter[str](), Counter[tuple[str, str]]()
    for path in sorted(DATA.glob("*chat_completions.jsonl.gz")):
        for row in rows(path.name.removesuffix(".jsonl.gz")):
            raw = row["usage_raw"]
            if not isinstance(raw, dict) or "prompt_tokens" not in raw:
                continue
            known = find_provider(canonical_provider(row["provider"]))
            usage = usage_from_openai(raw, total_beyond=known.total_beyond if known else "")
            assert usage is not None
            decomposed[row["provider"]] += 1
            if usage.all_input_tokens != row["usage"]["input_tokens"]:
                different[row["provider"], "prompt"] += 1
            if usage.all_output_tokens != row["usage"]["output_tokens"]:
                different[row["provider"], "completion"] += 1
    assert decomposed.total() > 2000
    # Cerebras counts 2 to 5 tokens in the total alone; they are booked as thought.
    assert different == {("cerebras", "completion"): 4}


@pytest.mark.parametrize(
    ("row_id", "usage"),
    [
        ("rec_c7e6d3e2977c7eb2aed3", Usage(cache_read_tokens=10)),  # 161 cached of a prompt of 10
        ("rec_79d206312bc013347f69", Usage(input_tokens=5, audio_input_tokens=375, output_tokens=20)),
        ("rec_36bc1b24ed067d02beee", Usage(input_tokens=16, audio_input_tokens=375, output_tokens=2)),
        ("rec_4d3f24e6a8c75384402a", Usage(input_tokens=66, output_tokens=6, reasoning_tokens=28)),
        ("rec_712abeb98eaa45b2830f", Usage(input_tokens=21, reasoning_tokens=16)),  # 21 thought of 16 in all
        ("rec_a5a638dc76bd753e25a5", Usage(input_tokens=92, reasoning_tokens=16)),
        ("rec_501a8ec729d824352d69", Usage(input_tokens=25, output_tokens=2, reasoning_tokens=5)),
    ],
)
def test_odd_reports_are_read_as_they_were_meant(row_id: str, usage: Usage) -> None:
    """Azure's Grok, Mistral's Voxtral, Google's imitation, OpenRouter's and Together's Qwen, Cerebras."""
    row = next((row for row in every_row() if row["id"] == row_id), None)
    if row is None:
        pytest.skip(f"{row_id} is not among the rows here")
    known = find_provider(canonical_provider(row["provider"]))
    found = usage_from_openai(row["usage_raw"], total_beyond=known.total_beyond if known else "")
    assert found is not None
    got = {name: count for name, count in found.tokens() if name != "cache_write_5m"}
    wanted = dict(usage.tokens())
    assert {name: got[name] for name, count in wanted.items() if count} == {
        name: count for name, count in wanted.items() if count
    }
    assert found.all_output_tokens == usage.all_output_tokens or row["provider"] == "azure"


@cache
def every_row() -> list[dict[str, Any]]:
    """Every recorded chat."""
    paths = sorted(DATA.glob("*chat_completions.jsonl.gz"))
    return [row for path in paths for row in rows(path.name.removesuffix(".jsonl.gz"))]
