from __future__ import annotations

from typing import Any

import pytest

from metering.openai_chat import output_cap_for
from metering.quote import OutputCap
from tests.metering.chats import request


def cap(ceiling: int | None = 16_384, reasoning_minimum: int | None = None, **fields: Any) -> OutputCap:
    return output_cap_for(
        request(**fields),
        ceiling=ceiling,
        default_plain=4096,
        default_reasoning=32_768,
        minimum=256,
        reasoning_minimum=reasoning_minimum,
    )


def test_the_callers_cap_rules_in_either_spelling() -> None:
    for spelling in ("max_tokens", "max_completion_tokens"):
        found = cap(**{spelling: 500})
        assert (found.tokens, found.source, found.may_clamp, found.minimum_tokens) == (
            500,
            "caller",
            True,
            256,
        )


def test_without_one_the_default_of_its_class_rules() -> None:
    assert (cap().tokens, cap().source) == (4096, "default")
    assert cap(ceiling=None, model="o3-mini").tokens == 32_768


def test_no_cap_is_over_the_models_ceiling() -> None:
    assert cap(max_tokens=10**6).tokens == 16_384
    assert cap(ceiling=1024).tokens == 1024
    assert cap(ceiling=None, max_tokens=10**6).tokens == 10**6


def test_choices_come_along() -> None:
    assert (cap().choices, cap(n=4).choices) == (1, 4)


def test_a_cap_below_the_minimum_is_its_own_minimum() -> None:
    assert cap(max_tokens=10).minimum_tokens == 10


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "grammar"}},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy"}},
        {"model": "o3-mini"},
    ],
)
def test_where_a_cut_answer_is_worthless_it_is_never_cut(fields: dict[str, Any]) -> None:
    found = cap(ceiling=None, **fields)
    assert not found.may_clamp
    assert found.minimum_tokens == found.tokens


def test_a_reasoning_model_is_cut_to_its_stated_minimum() -> None:
    found = cap(ceiling=None, reasoning_minimum=8192, model="gpt-5")
    assert (found.may_clamp, found.minimum_tokens) == (True, 8192)


def test_a_spoken_answer_is_marked() -> None:
    assert cap(modalities=["audio"]).audio
    assert not cap(tool_choice="auto", response_format={"type": "text"}).audio
