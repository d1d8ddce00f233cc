from __future__ import annotations

from typing import Any

import pytest

from metering.errors import Uncountable
from metering.quote import OutputCap
from metering.responses_output import responses_cap_for
from metering.responses_request import decode_compact
from tests.metering.responses import body, request

SCHEMA = {"format": {"type": "json_schema", "name": "x", "schema": {}}}


def cap(model: str = "gpt-4.1", *, ceiling: int | None = 32_768, **fields: Any) -> OutputCap:
    minimum = fields.pop("minimum", 256)
    return responses_cap_for(
        request(model, **fields),
        ceiling=ceiling,
        default_plain=4096,
        default_reasoning=32_768,
        minimum=minimum,
        reasoning_minimum=fields.get("reasoning_minimum"),
    )


def test_the_callers_cap_stands_up_to_the_models_ceiling() -> None:
    assert cap(max_output_tokens=500) == OutputCap(500, 1, 256, "caller", may_clamp=True)
    assert cap(max_output_tokens=90_000).tokens == 32_768
    assert cap(max_output_tokens=90_000, ceiling=None).tokens == 90_000


def test_a_default_depends_on_whether_a_model_thinks() -> None:
    assert (cap().tokens, cap().source) == (4096, "default")
    thinking = cap("gpt-5")
    assert (thinking.tokens, thinking.may_clamp, thinking.minimum_tokens) == (32_768, False, 32_768)


def test_a_model_that_thinks_is_cut_to_what_is_stated() -> None:
    thinking = responses_cap_for(
        request("gpt-5"),
        ceiling=None,
        default_plain=4096,
        default_reasoning=32_768,
        minimum=256,
        reasoning_minimum=2000,
    )
    assert (thinking.may_clamp, thinking.minimum_tokens) == (True, 2000)


def test_nothing_is_cut_below_what_openai_takes() -> None:
    assert cap(minimum=1).minimum_tokens == 16
    assert cap(minimum=1, max_output_tokens=10).minimum_tokens == 10


@pytest.mark.parametrize(
    "fields",
    [{"text": SCHEMA}, {"text": {"format": {"type": "json_object"}}}, {"tool_choice": "required"}],
)
def test_an_answer_that_must_be_whole_is_never_cut(fields: dict[str, Any]) -> None:
    assert cap(**fields).may_clamp is False
    assert cap(**fields).minimum_tokens == 4096


def compaction(model: str, ceiling: int | None) -> OutputCap:
    return responses_cap_for(
        decode_compact(body(model)), ceiling=ceiling, default_plain=1, default_reasoning=1, minimum=1
    )


def test_a_compaction_is_held_at_all_that_the_model_can_write() -> None:
    assert compaction("gpt-4.1", 32_768) == OutputCap(32_768, 1, 32_768, "caller", may_clamp=False)
    assert compaction("sim-mini", None).tokens == 1024
    with pytest.raises(Uncountable, match="takes no output cap"):
        compaction("somebody/else", None)
