from __future__ import annotations

import pytest

from metering.limits import ModelLimits, cap_field_of, is_reasoning, limits_for


@pytest.mark.parametrize(
    ("provider", "model", "limits"),
    [
        ("openai", "gpt-4o-mini", ModelLimits(128_000, 16_384)),
        ("openai", "gpt-4o-2024-05-13", ModelLimits(128_000, 4096)),
        ("openai", "gpt-4o-2024-11-20", ModelLimits(128_000, 16_384)),
        ("openai", "gpt-4o-mini-2099-01-01", ModelLimits(128_000, 16_384)),
        ("openai", "gpt-3.5-turbo-0125", ModelLimits(16_385, 4096)),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", ModelLimits(128_000, 16_384)),
        ("openai", "text-embedding-3-small", ModelLimits(8191, None)),
        ("azure", "gpt-4o", ModelLimits(128_000, 16_384)),
        ("gemini", "gemini-2.5-flash", ModelLimits(1_048_576, 65_536)),
        ("anthropic", "claude-opus-4-5-20251101", ModelLimits(200_000, 64_000)),
        ("groq", "openai/gpt-oss-120b", ModelLimits(131_072, 65_536)),
        ("openai", "sim-exact", None),
        ("nobody", "gpt-4o", None),
    ],
)
def test_a_models_ceilings_are_found_by_any_of_its_names(
    provider: str, model: str, limits: ModelLimits | None
) -> None:
    assert limits_for(model, provider) == limits


@pytest.mark.parametrize(
    "model",
    ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.6-sol", "gpt-6-luna", "ft:o4-mini-2025-04-16:acme::x",
     "deepseek-reasoner", "openai/gpt-oss-120b", "sim-reason-1", "grok-4", "qwen/qwq-32b"],
)  # fmt: skip
def test_models_that_think_are_known(model: str) -> None:
    assert is_reasoning(model)


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "gpt-5.2-chat", "sim-exact", "llama-3.3-70b", "omni-1"],
)
def test_models_that_do_not_think_are_not_taken_for_such(model: str) -> None:
    assert not is_reasoning(model)


def test_a_cap_is_spelled_as_the_model_takes_it() -> None:
    assert cap_field_of("gpt-4o") == cap_field_of("o3-mini") == "max_completion_tokens"
    assert cap_field_of("llama-3.3-70b") == cap_field_of("sim-exact") == "max_tokens"
