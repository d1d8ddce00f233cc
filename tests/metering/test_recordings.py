from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.errors import Uncountable
from metering.openai_chat import bound_chat, decode_chat
from metering.quote import BoundClass
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


def bounds() -> Iterator[tuple[BoundClass, float, str]]:
    """Class and bound by reported tokens of each distinct chat without media, by model."""
    seen = set()
    for row in filter(usable, rows(*CHATS)):
        body = row["request_body"] | {"model": row["request_body"].get("model") or row["model"]}
        content = json.dumps(body, ensure_ascii=False).encode()
        if content in seen:
            continue
        seen.add(content)
        try:
            found = bound_chat(decode_chat(content))
        except Uncountable:
            continue
        if not found.image_tokens:
            yield found.bound_class, found.tokens / row["usage"]["input_tokens"], row["id"]


def test_recorded_chats_seldom_exceed_their_bound() -> None:
    found = list(bounds())
    assert len(found) > 900
    under = [(row_id, round(ratio, 3)) for _, ratio, row_id in found if ratio < 1]
    assert len(under) <= 0.005 * len(found), under
    exact = [ratio for bound_class, ratio, _ in found if bound_class is BoundClass.EXACT]
    assert sum(ratio == 1 for ratio in exact) >= 0.97 * len(exact)


def test_every_recorded_report_is_decomposed_without_losing_a_token() -> None:
    decomposed = Counter[str]()
    for path in sorted(DATA.glob("*chat_completions.jsonl.gz")):
        for row in rows(path.name.removesuffix(".jsonl.gz")):
            raw = row["usage_raw"]
            if not isinstance(raw, dict) or "prompt_tokens" not in raw:
                continue
            usage = usage_from_openai(raw)
            assert usage is not None
            assert usage.all_input_tokens == raw["prompt_tokens"]
            assert usage.all_output_tokens >= raw["completion_tokens"]
            decomposed[row["provider"]] += 1
    assert decomposed.total() > 2000
