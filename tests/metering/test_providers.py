from __future__ import annotations

from pathlib import Path

import pytest

from metering.allowances import KINDS
from metering.base_prices import find_base
from metering.errors import ProviderDataError
from metering.limits import limits_for
from metering.providers import (
    TENANT,
    canonical_provider,
    find_provider,
    leaves_thinking_out,
    price_source,
    providers,
    read_providers,
)

LEAST = b"""
[tiny]
title = "Tiny"
base_urls = { openai = "https://tiny.example/v1" }
prices = "tenant"
tokenizers = "unknown"
cap_fields = ["max_tokens"]
usage = ["when_asked"]
source = "https://tiny.example/docs"
date = 2026-11-21
"""


def test_whatever_speaks_openai_is_described() -> None:
    expected = {
        *("azure", "azure-deployments", "groq", "mistral", "deepseek", "x-ai", "together", "fireworks"),
        *("openrouter", "perplexity", "cerebras", "moonshotai", "vllm", "ollama", "llamacpp", "openai"),
    }
    assert expected <= {name for name, known in providers().items() if "openai" in known.base_urls}


def test_every_price_source_is_one_that_the_price_book_knows() -> None:
    from genai_prices.data import providers as priced

    ids = {each.id for each in priced}
    assert {known.prices for known in providers().values()} - {TENANT} <= ids
    assert price_source("azure-deployments") == "azure"
    assert price_source("nobody") == "nobody"
    assert find_base("vllm", "gpt-4o", 1_790_000_000_000) is None


def test_a_deployment_has_the_ceilings_of_the_model_it_is_called_like() -> None:
    assert limits_for("gpt-4o", "azure-deployments") == limits_for("gpt-4o", "openai") is not None


def test_names_that_people_use_lead_to_the_price_books() -> None:
    assert [canonical_provider(name) for name in ("xAI ", "gemini", "groq")] == ["x-ai", "google", "groq"]
    assert find_provider("nobody") is None


def test_a_credential_is_presented_as_the_provider_takes_it() -> None:
    assert providers()["azure"].presented("k") == ("api-key", "k")
    assert providers()["groq"].presented("k") == ("authorization", "Bearer k")


def test_thinking_that_no_cap_covers_is_told_by_the_model() -> None:
    pattern = providers()["alibaba"].cap_leaves_out
    assert leaves_thinking_out(pattern, "Qwen3.8-max")
    assert not leaves_thinking_out(pattern, "deepseek-v4-pro")
    assert not leaves_thinking_out("", "qwen3")


def test_the_first_dialect_and_its_address_are_an_accounts_own() -> None:
    tiny = read_providers(LEAST)["tiny"]
    assert (tiny.provider_id, tiny.dialect, tiny.base_url) == ("tiny", "openai", "https://tiny.example/v1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'title = "Tiny"', b'title = ""'),
        (b'title = "Tiny"', b'titel = "Tiny"'),
        (b'"https://tiny.example/v1"', b'"http://tiny.example/v1"'),
        (b'"https://tiny.example/v1"', b'"https://tiny.example/v1/"'),
        (b'"https://tiny.example/v1"', b'""'),
        (b'{ openai = "https://tiny.example/v1" }', b"{}"),
        (b'"max_tokens"', b'"max_output"'),
        (b"date = 2026-11-21", b""),
        (b"date =", b'provider_id = "other"\ndate ='),
        (b"date =", b'cap_leaves_out = ".*"\ndate ='),
        (b"date =", b'path = "/chat"\ndate ='),
        (b"date =", b'verdicts = { 400 = "free" }\ndate ='),
        (b"[tiny]", b"[tiny"),
    ],
)
def test_a_provider_that_is_not_described_whole_is_refused(old: bytes, new: bytes) -> None:
    assert old in LEAST
    with pytest.raises(ProviderDataError):
        read_providers(LEAST.replace(old, new))


def test_the_page_of_providers_names_each_and_each_kind_of_allowance() -> None:
    page = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
    assert [name for name in providers() if f"| `{name}` |" not in page] == []
    assert [kind for kind in KINDS if f"| `{kind}` |" not in page] == []
