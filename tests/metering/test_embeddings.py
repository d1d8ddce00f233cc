"""Embeddings: what a request may be billed for, and what a report says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.embeddings_bound import bound_embeddings
from metering.embeddings_request import decode_embeddings
from metering.embeddings_usage import usage_of_prompt
from metering.errors import RequestShapeError, Uncountable, UsageError
from metering.quote import BoundClass, InputBound
from metering.text_inputs import FRAMING_TOKENS
from metering.tokens import TEXT_CHARS_MAX, count
from metering.usage import Usage


def bound(
    given_input: Any, model: str = "text-embedding-3-small", provider: str = "openai", **fields: Any
) -> InputBound:
    body = json.dumps({"model": model, "input": given_input, **fields}).encode()
    return bound_embeddings(decode_embeddings(body), provider=provider)


@pytest.mark.parametrize(
    ("given_input", "tokens"),
    [
        ("hello world", 2),
        ("", 1),
        (["hello world", "hello"], 3),
        ([1111, 2222, 3333], 3),
        ([[1111], [2222, 3333]], 3),
        (["hello world", [7, 8]], 4),
    ],
)
@pytest.mark.parametrize(
    "model", ["text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"]
)
def test_what_a_public_tokenizer_counts_is_exact(given_input: Any, tokens: int, model: str) -> None:
    assert bound(given_input, model) == InputBound(
        tokens, BoundClass.EXACT, text_buckets=("input", "cache_read")
    )


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("text-embedding-3-small", "elsewhere"),
        ("text-embedding-4", "openai"),
        ("mistral-embed", "mistral"),
        ("voyage-3.5", "voyageai"),
    ],
)
def test_any_other_is_bounded_by_its_bytes(model: str, provider: str) -> None:
    found = bound(["hello world", "hello"], model, provider)
    body = {"model": model, "input": ["hello world", "hello"]}
    assert (found.tokens, found.bound_class) == (
        len(json.dumps(body)) + 2 * FRAMING_TOKENS,
        BoundClass.HARD,
    )


def test_a_text_too_long_for_a_tokenizer_is_bounded_by_its_bytes() -> None:
    found = bound("a" * (TEXT_CHARS_MAX + 1))
    assert found.bound_class is BoundClass.HARD
    assert found.tokens > TEXT_CHARS_MAX


def test_a_sign_that_normalising_makes_a_sentence_is_counted_as_the_sentence() -> None:
    sign = "\ufdfa"  # three bytes; eighteen letters in its compatibility form
    plain, signs = (len(bound(text * 100, "e5", "local").extras) for text in ("x", sign))
    assert (plain, signs) == (0, 0)
    grown = bound(sign * 100, "e5", "local").tokens - bound("", "e5", "local").tokens
    assert grown >= 100 * 33


def test_the_simulators_rule_is_words() -> None:
    assert bound(["tok one two", [5, 6]], "sim-mini", "simulator") == InputBound(
        5, BoundClass.EXACT, text_buckets=("input", "cache_read")
    )


@given(st.lists(st.text(max_size=40).filter(lambda text: text.isprintable()), min_size=1, max_size=5))
def test_bytes_are_never_below_the_tokens(texts: list[str]) -> None:
    exact = sum(max(1, count(text, "cl100k_base")) for text in texts)
    assert bound(texts, "somebodys-own", "local").tokens >= exact


@pytest.mark.parametrize(
    ("given_input", "param"),
    [
        ([], "input"),
        (None, "input"),
        (5, "input"),
        ([1, "a"], "input"),
        ([1.5], "input"),
    ],
)
def test_what_is_neither_text_nor_token_ids_is_refused(given_input: Any, param: str) -> None:
    with pytest.raises(RequestShapeError) as raised:
        bound(given_input)
    assert raised.value.param == param


def test_parts_and_fields_of_no_known_size_are_uncountable() -> None:
    with pytest.raises(Uncountable, match=r"input\[1\]"):
        bound(["a", {"type": "image_url"}])
    for name in ("messages", "prompt_name", "models", "plugins", "preset", "extra_body"):
        with pytest.raises(Uncountable, match=name):
            bound("a", **{name: ["x"]})
        bound("a", **{name: None})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"[]", None),
        (b'{"model":"m"}', None),
        (b'{"model":"","input":"a"}', "model"),
        (b'{"model":5,"input":"a"}', "model"),
        (b'{"model":"m","input":"a","input":"b"}', "input"),
        (b'{"model":"m","input":"a","Input":"b"}', "Input"),
        (b'{"model":"m","input":"a"', None),
        (b'{"model":"m","input":["\\ud800"]}', None),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(RequestShapeError) as raised:
        decode_embeddings(body)
    assert raised.value.param == param


def test_a_body_cannot_say_its_own_size() -> None:
    body = b'{"model":"m","input":"a","body_bytes":1}'
    assert decode_embeddings(body).body_bytes == len(body)


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": None}, None),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8)),
        ({"total_tokens": 8}, Usage(input_tokens=8)),
        ({"prompt_tokens": 8}, Usage(input_tokens=8)),
        ({"total_tokens": 0}, Usage()),
        ({"prompt_tokens": 8, "total_tokens": 9}, Usage(input_tokens=9)),
        ({"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8}, Usage(input_tokens=8)),
        (
            {"prompt_tokens": 8, "total_tokens": 8, "prompt_tokens_details": {"image_tokens": 5}},
            Usage(input_tokens=3, image_input_tokens=5),
        ),
    ],
)
def test_every_token_of_a_report_is_the_prompts(report: Any, usage: Usage | None) -> None:
    assert usage_of_prompt(report) == usage


@pytest.mark.parametrize("report", [{"prompt_tokens": 8, "total_tokens": 7}, {"prompt_tokens": -1}])
def test_a_report_that_cannot_be_true_is_an_error(report: Any) -> None:
    with pytest.raises(UsageError):
        usage_of_prompt(report)
