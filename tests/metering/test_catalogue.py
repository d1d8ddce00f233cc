"""Which models a provider serves now."""

from __future__ import annotations

import pytest

from metering.base_prices import find_base
from metering.catalogue import models_of
from metering.limits import limits_for, measured_models

NOW_MS = 1_795_000_000_000  # 2026-11


def test_models_that_are_gone_are_not_among_them() -> None:
    assert not {"ada", "text-davinci-003", "gpt-4-32k", "gpt-3.5-0301"} & set(models_of("openai"))
    assert not {"claude-2", "claude-3-opus-latest"} & set(models_of("anthropic"))
    assert {"gpt-4o-mini", "gpt-3.5-turbo-instruct", "text-embedding-3-small"} <= set(models_of("openai"))
    assert not any(name.startswith("ft:") for name in models_of("openai"))


def test_models_that_are_free_are_though_nobody_measured_them() -> None:
    assert limits_for("omni-moderation-latest") is None
    assert "omni-moderation-latest" in models_of("openai")


def test_a_provider_without_a_table_is_known_from_the_price_book_alone() -> None:
    assert measured_models("openrouter") == frozenset()
    assert len(models_of("openrouter")) > 500
    assert models_of("nobody-knows") == ()


@pytest.mark.parametrize(
    "provider", ["openai", "anthropic", "google", "groq", "mistral", "together", "voyageai"]
)
def test_each_is_named_once_and_most_have_a_price(provider: str) -> None:
    names = models_of(provider)
    assert list(names) == sorted(names)
    assert len({name.casefold() for name in names}) == len(names) > 0
    priced = [name for name in names if find_base(provider, name, NOW_MS)]
    assert len(priced) > 0.3 * len(names)
