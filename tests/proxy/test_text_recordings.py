"""Recorded embeddings, older completions and moderations: what was reported, and the bounds it came under."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from metering.completions_bound import bound_completions
from metering.completions_request import decode_completions
from metering.embeddings_bound import bound_embeddings
from metering.embeddings_request import decode_embeddings
from metering.embeddings_usage import usage_of_prompt
from metering.moderations import bound_moderations, decode_moderations
from metering.quote import BoundClass, InputBound
from metering.usage_openai import usage_from_openai
from proxy.providers.completions import OpenAICompletions
from proxy.providers.embeddings import OpenAIEmbeddings
from tests.metering.test_recordings import DATA, rows

EMBEDDINGS = (
    "openai__v1_embeddings",
    "azure__openai_deployments_deployment_embeddings",
    "mistral__v1_embeddings",
    "voyage__v1_embeddings",
    "local__v1_embeddings",
)
COMPLETIONS = (
    "openai__v1_completions",
    "azure__openai_deployments_deployment_completions",
    "local__v1_completions",
    "together__v1_completions",
)


@pytest.fixture(scope="module", autouse=True)
def _data() -> None:
    if not DATA.is_dir():
        pytest.skip(f"no recorded calls at {DATA}: set FAREBOX_DATA")


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether the request is as it was sent: no text of it was taken out or cut."""
    edited = any("rq" in str(tag) for tag in row["redacted"] or ())
    return not (edited or row["request_body_trimmed"])


def _bound(row: dict[str, Any], name: str) -> InputBound:
    body = json.dumps(row["request_body"], ensure_ascii=False).encode()
    provider = name.partition("__")[0]
    if name in EMBEDDINGS:
        return bound_embeddings(decode_embeddings(body), provider=provider)
    return bound_completions(decode_completions(body), provider=provider)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_recorded_embeddings_are_decomposed_as_they_were_normalised(name: str) -> None:
    reported = [row for row in rows(name) if row["usage_raw"]]
    assert reported
    for row in reported:
        usage = usage_of_prompt(row["usage_raw"])
        assert usage is not None, row["id"]
        normalised = row["usage"]
        assert usage.all_input_tokens == normalised.get("input_tokens", normalised["total_tokens"]), row["id"]
        assert usage.all_output_tokens == normalised.get("output_tokens", 0) == 0
        answer = json.dumps(row["response_body"]).encode()
        dialect = OpenAIEmbeddings()
        report = dialect.read_answer(answer, dialect.traits_of(row["provider"]))
        assert (report.usage, report.impossible, report.error_inside) == (usage, "", False)
        assert report.text


@pytest.mark.parametrize("name", COMPLETIONS)
def test_recorded_completions_are_decomposed_as_they_were_normalised(name: str) -> None:
    reported = [row for row in rows(name) if row["usage_raw"]]
    assert reported
    dialect = OpenAICompletions()
    for row in reported:
        usage = usage_from_openai(row["usage_raw"])
        assert usage is not None
        assert usage.all_input_tokens == row["usage"]["input_tokens"], row["id"]
        assert usage.all_output_tokens == row["usage"].get("output_tokens", 0), row["id"]
        traits = dialect.traits_of(row["provider"])
        assert dialect.read_answer(json.dumps(row["response_body"]).encode(), traits).usage == usage


def test_recorded_streams_of_completions_tell_their_text_and_no_usage() -> None:
    dialect = OpenAICompletions()
    seen = 0
    for row in (row for name in COMPLETIONS for row in rows(name)):
        if not row["stream"] or row["status"] != 200:
            continue
        tap = dialect.tap(strip_usage=True, traits=dialect.traits_of(row["provider"]))
        body = row["response_body"].encode()
        assert tap.feed(body) + tap.finish() == body, row["id"]
        report = tap.report()
        assert report.usage is None
        assert report.text
        seen += 1
    assert seen == 14


def test_recorded_prompts_meet_their_bound_exactly_or_stay_below_it() -> None:
    found: Counter[tuple[str, BoundClass, str]] = Counter()
    for name in (*EMBEDDINGS, *COMPLETIONS):
        for row in filter(_is_whole, rows(name)):
            reported = row["usage_raw"] and row["usage"].get("input_tokens")
            if not reported:
                continue
            bound = _bound(row, name)
            assert bound.tokens >= reported, row["id"]
            if bound.bound_class is BoundClass.EXACT:
                assert bound.tokens == reported, row["id"]
            found[
                name.partition("_")[0], bound.bound_class, "embeds" if name in EMBEDDINGS else "writes"
            ] += 1
    assert found == {
        ("openai", BoundClass.EXACT, "embeds"): 70,
        ("azure", BoundClass.EXACT, "embeds"): 1,
        ("azure", BoundClass.HARD, "embeds"): 1,  # a deployment's own name says nothing
        ("mistral", BoundClass.HARD, "embeds"): 8,
        ("local", BoundClass.HARD, "embeds"): 2,
        ("openai", BoundClass.EXACT, "writes"): 36,
        ("openai", BoundClass.HARD, "writes"): 3,  # models of an older tokenizer, long gone
        ("azure", BoundClass.EXACT, "writes"): 1,
        ("local", BoundClass.HARD, "writes"): 6,
        ("together", BoundClass.HARD, "writes"): 1,
    }


def test_the_recorded_moderation_is_bounded_and_reports_nothing() -> None:
    [row] = rows("openai__v1_moderations")
    request = decode_moderations(json.dumps(row["request_body"]).encode())
    assert bound_moderations(request).bound_class is BoundClass.HARD
    assert "usage" not in row["response_body"]
