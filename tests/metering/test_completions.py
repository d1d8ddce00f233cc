"""The older completions: the prompt's bound and the output cap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metering.completions_bound import UNSAID_CAP_TOKENS, bound_completions, completions_cap_for
from metering.completions_request import CompletionsRequest, decode_completions
from metering.errors import RequestShapeError, Uncountable
from metering.quote import BoundClass, OutputCap
from metering.tokens import TEXT_CHARS_MAX

INSTRUCT = "gpt-3.5-turbo-instruct"


def request(model: str = INSTRUCT, **fields: Any) -> CompletionsRequest:
    return decode_completions(json.dumps({"model": model, **fields}).encode())


def cap(asked: CompletionsRequest, provider: str = "openai", ceiling: int | None = None) -> OutputCap:
    defaults = {"default_plain": 4096, "default_reasoning": 32768, "minimum": 256}
    return completions_cap_for(asked, provider=provider, ceiling=ceiling, **defaults)


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("hello world", 2),
        (["hello world", "hello"], 3),
        ([[1, 2], [3]], 3),
        ([1, 2, 3], 3),
        (None, 1),
        ("", 1),
    ],
)
@pytest.mark.parametrize("model", [INSTRUCT, "davinci-002", "babbage-002", "ft:davinci-002:acme::x"])
def test_what_a_public_tokenizer_counts_is_exact(prompt: Any, tokens: int, model: str) -> None:
    found = bound_completions(request(model, prompt=prompt, n=4, best_of=9, echo=True, logprobs=5))
    assert (found.tokens, found.bound_class) == (tokens, BoundClass.EXACT)


@pytest.mark.parametrize(
    ("model", "provider", "fields"),
    [
        ("facebook/opt-125m", "local", {}),
        (INSTRUCT, "openrouter", {}),
        ("davinci", "openai", {}),
        (INSTRUCT, "openai", {"suffix": "the end"}),
    ],
)
def test_any_other_is_bounded_by_its_bytes(model: str, provider: str, fields: dict[str, Any]) -> None:
    asked = request(model, prompt="hello world", **fields)
    found = bound_completions(asked, provider=provider)
    assert found.bound_class is BoundClass.HARD
    assert found.tokens >= asked.body_bytes


def test_a_suffix_stands_behind_each_prompt() -> None:
    suffix = "s" * 1000
    one, three = (
        bound_completions(request(prompt=["a"] * count, suffix=suffix), provider="local").tokens
        for count in (1, 3)
    )
    assert three > one + 2000
    words = bound_completions(request("sim-mini", prompt=["a b", "c"], suffix="x y"), provider="simulator")
    assert (words.tokens, words.bound_class) == (7, BoundClass.EXACT)


def test_a_prompt_too_long_for_a_tokenizer_is_bounded_by_its_bytes() -> None:
    assert bound_completions(request(prompt="a" * (TEXT_CHARS_MAX + 1))).bound_class is BoundClass.HARD


@pytest.mark.parametrize(
    ("fields", "choices"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": 2, "best_of": 5}, 5),
        ({"prompt": ["a", "b"], "n": 2, "best_of": 3}, 6),
        ({"prompt": [1, 2]}, 1),
    ],
)
def test_every_answer_that_is_generated_counts(fields: dict[str, Any], choices: int) -> None:
    assert cap(request(**fields, max_tokens=7)).choices == choices


@pytest.mark.parametrize(
    ("model", "provider", "stated", "ceiling", "tokens"),
    [
        (INSTRUCT, "openai", None, 4096, UNSAID_CAP_TOKENS),
        (INSTRUCT, "azure", None, 4096, UNSAID_CAP_TOKENS),
        ("facebook/opt-125m", "local", None, None, 4096),
        ("facebook/opt-125m", "local", None, 2048, 2048),
        ("deepseek-r1", "together", None, None, 32768),
        (INSTRUCT, "openai", 7, 4096, 7),
        (INSTRUCT, "openai", 5000, 4096, 4096),
        (INSTRUCT, "openai", 0, 4096, 0),
    ],
)
def test_the_cap_is_the_callers_else_the_interfaces_else_the_tenants(
    model: str, provider: str, stated: int | None, ceiling: int | None, tokens: int
) -> None:
    found = cap(request(model, max_tokens=stated), provider, ceiling)
    assert (found.tokens, found.source) == (tokens, "default" if stated is None else "caller")


def test_a_cap_may_be_cut_where_a_shorter_answer_is_of_use() -> None:
    plain = cap(request(max_tokens=4000))
    assert (plain.may_clamp, plain.minimum_tokens) == (True, 256)
    assert cap(request(max_tokens=5)).minimum_tokens == 5
    shaped = cap(request(max_tokens=4000, response_format={"type": "json_object"}))
    assert (shaped.may_clamp, shaped.minimum_tokens) == (False, 4000)
    assert not cap(request("deepseek-r1", max_tokens=4000)).may_clamp


@pytest.mark.parametrize(
    "name", ["prompt_embeds", "images", "prediction", "models", "plugins", "preset", "extra_body"]
)
def test_fields_of_no_known_size_are_uncountable(name: str) -> None:
    with pytest.raises(Uncountable, match=name):
        bound_completions(request(prompt="a", **{name: ["x"]}))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"best_of": 129}, "best_of"),
        ({"n_predict": 99999}, "n_predict"),
        ({"max_completion_tokens": 9}, "max_completion_tokens"),
        ({"N": 9}, "N"),
    ],
)
def test_what_is_no_request_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestShapeError) as raised:
        request(**{"model": INSTRUCT, "prompt": "a", **fields})
    assert raised.value.param == param


def test_a_model_whose_cap_leaves_out_its_thinking_is_for_chat_alone() -> None:
    with pytest.raises(Uncountable, match="thinks"):
        bound_completions(request("qwen/qwen3-14b", prompt="a"), provider="openrouter")
    assert bound_completions(request("qwen/qwen3-14b", prompt="a"), provider="together").tokens


def test_a_stream_may_ask_for_usage() -> None:
    assert request(stream_options={"include_usage": True}).include_usage
    assert not request().include_usage
