from __future__ import annotations

from typing import Any

import pytest

from metering.anthropic_output import estimate_messages_output, messages_cap_for
from metering.quote import OutputCap
from tests.metering.messages import request

ENABLED = {"type": "enabled", "budget_tokens": 2000}


def cap(
    model: str = "claude-sonnet-4-5",
    *,
    ceiling: int | None = 64_000,
    reasoning_minimum: int | None = None,
    **fields: Any,
) -> OutputCap:
    return messages_cap_for(
        request(model, **fields),
        ceiling=ceiling,
        default_plain=4096,
        default_reasoning=32_768,
        minimum=256,
        reasoning_minimum=reasoning_minimum,
    )


def test_the_callers_cap_rules_up_to_the_models_ceiling() -> None:
    assert cap(max_tokens=1000) == OutputCap(1000, 1, 256, "caller", may_clamp=True)
    assert cap(max_tokens=100).minimum_tokens == 100
    assert cap(max_tokens=99_999).tokens == 64_000
    assert cap(max_tokens=99_999, ceiling=None).tokens == 99_999


def test_without_one_the_tenants_default_is_put_in() -> None:
    assert cap(max_tokens=None) == OutputCap(4096, 1, 256, "default", may_clamp=True)
    assert cap(max_tokens=None, thinking={"type": "adaptive"}).tokens == 32_768
    assert cap(max_tokens=None, thinking=ENABLED).tokens == 32_768
    large = {"type": "enabled", "budget_tokens": 40_000}
    assert cap(max_tokens=None, thinking=large).tokens == 40_256
    assert cap(max_tokens=None, ceiling=1000).tokens == 1000


def test_a_thinking_budget_is_kept_with_room_for_the_answer() -> None:
    assert cap(max_tokens=8000, thinking=ENABLED) == OutputCap(8000, 1, 2256, "caller", may_clamp=True)
    assert cap(max_tokens=2100, thinking=ENABLED).minimum_tokens == 2100


def test_adaptive_thinking_is_cut_only_where_its_need_is_stated() -> None:
    assert cap(max_tokens=8000, thinking={"type": "adaptive"}) == OutputCap(
        8000, 1, 8000, "caller", may_clamp=False
    )
    stated = cap(max_tokens=8000, thinking={"type": "adaptive"}, reasoning_minimum=3000)
    assert stated == OutputCap(8000, 1, 3000, "caller", may_clamp=True)
    assert not cap("claude-sonnet-5", max_tokens=8000).may_clamp
    assert cap("claude-sonnet-5", max_tokens=8000, thinking={"type": "disabled"}).may_clamp


@pytest.mark.parametrize(
    "fields",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        {"tool_choice": {"type": "any"}},
        {"thinking": ENABLED, "output_format": {"type": "json_schema"}},
    ],
)
def test_an_answer_that_is_worthless_when_cut_is_never_cut(fields: dict[str, Any]) -> None:
    assert cap(max_tokens=5000, **fields) == OutputCap(5000, 1, 5000, "caller", may_clamp=False)


def test_relayed_text_is_estimated_from_above() -> None:
    assert estimate_messages_output("") == 56
    assert estimate_messages_output("word " * 100) == 167 + 56
    assert (
        estimate_messages_output("a b c d " * 100) == 560 + 56
        or estimate_messages_output("a b c d " * 100) > 400
    )
    assert estimate_messages_output("", tool_calls=2) == 56 + 236
