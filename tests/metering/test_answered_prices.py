"""Which price rules when another model answers than was asked for, and what an import changes."""

from __future__ import annotations

import pytest

from metering.base_prices import base_name
from metering.errors import UnpricedModel
from metering.imported_prices import ImportedPrices
from metering.prices import ImportedPrice, PriceBook, PriceEntry, make_price

AT_MS = 1_795_219_200_000  # 2026-11-21
RATES = {"input": 7, "output": 9}


def own(model: str, price_id: str = "own", provider: str = "openai") -> PriceEntry:
    return PriceEntry(0, make_price(price_id, (provider, model), rates=RATES))


def imported(model: str, *, tier: str = "", names: tuple[str, ...] = (), from_ms: int = 0) -> ImportedPrice:
    price = make_price(f"import/{model}/{tier}/{from_ms}", ("openai", model), rates=RATES)
    return ImportedPrice(from_ms, price, names or (model,), tier)


def answered(book: PriceBook, asked: str, model: str, *, provider: str = "openai", tier: str = "") -> str:
    return book.find_answered(provider, asked, model, AT_MS, service_tier=tier).price_id


def test_a_dated_name_of_the_model_asked_for_costs_the_same() -> None:
    asked = PriceBook().find("openai", "gpt-4o-mini", AT_MS).price_id
    assert answered(PriceBook(), "gpt-4o-mini", "gpt-4o-mini-2024-07-18") == asked
    assert answered(PriceBook(), "gpt-4o-mini", "") == asked


def test_another_model_that_answered_is_billed_as_itself() -> None:
    other = PriceBook().find("openai", "gpt-4o", AT_MS).price_id
    assert answered(PriceBook(), "gpt-4o-mini", "gpt-4o-2024-08-06") == other
    assert answered(PriceBook([own("gpt-4o-mini")]), "gpt-4o-mini", "gpt-4o-2024-08-06") == other
    assert answered(PriceBook([own("gpt-4o")]), "gpt-4o-mini", "gpt-4o") == "own"


def test_a_model_nobody_knows_is_billed_as_asked() -> None:
    asked = PriceBook().find("openai", "gpt-4o-mini", AT_MS).price_id
    assert answered(PriceBook(), "gpt-4o-mini", "who-is-this") == asked
    assert answered(PriceBook([own("gpt-4o-mini")]), "gpt-4o-mini", "who-is-this") == "own"


@pytest.mark.parametrize("model", ["gpt-4o-mini-2024-07-18", "gpt-4o-mini"])
def test_a_tenants_price_rules_the_versions_of_its_model(model: str) -> None:
    assert answered(PriceBook([own("gpt-4o-mini")]), "gpt-4o-mini", model) == "own"


@pytest.mark.parametrize("model", ["my-model-20260101", "my-model:latest", "my-model-0613", "my-model-001"])
def test_a_model_of_the_tenants_own_provider_is_known_by_its_versions(model: str) -> None:
    book = PriceBook([own("my-model", provider="here"), own("my-model-large", "large", "here")])
    assert answered(book, "my-model", model, provider="here") == "own"
    assert answered(book, "my-model", "my-model-large", provider="here") == "large"
    assert answered(book, "my-model", "my-model-small", provider="here") == "own"


def test_a_deployments_own_price_rules_whatever_stands_behind_it() -> None:
    assert answered(PriceBook([own("our-deployment")]), "our-deployment", "gpt-4o-2024-08-06") == "own"


def test_a_known_version_beside_an_imported_model_is_not_taken_for_an_alias() -> None:
    book = PriceBook([own("gpt-new")], [imported("gpt-new")])
    assert answered(book, "gpt-new", "gpt-new-2026-01-01") == "own"
    assert answered(book, "gpt-new", "gpt-4o").startswith("genai-prices/")


def test_an_import_rules_under_every_name_of_its_model_and_under_the_tenants_own() -> None:
    book = PriceBook([], [imported("gpt-4o-mini")])
    assert book.find("openai", "gpt-4o-mini-2024-07-18", AT_MS).price_id == "import/gpt-4o-mini//0"
    assert book.find("openai", "GPT-4o-mini", AT_MS).price_id == "import/gpt-4o-mini//0"
    assert book.find("openai", "gpt-4o", AT_MS).price_id.startswith("genai-prices/")
    assert (
        PriceBook([own("gpt-4o-mini")], [imported("gpt-4o-mini")])
        .find("openai", "gpt-4o-mini", AT_MS)
        .price_id
        == "own"
    )


def test_an_import_leaves_the_past_its_rate() -> None:
    book = PriceBook([], [imported("gpt-4o-mini", from_ms=AT_MS)])
    assert book.find("openai", "gpt-4o-mini", AT_MS - 1).price_id.startswith("genai-prices/")
    assert book.find("openai", "gpt-4o-mini", AT_MS).price_id == f"import/gpt-4o-mini//{AT_MS}"


def test_a_new_model_is_known_by_its_globs() -> None:
    book = PriceBook([], [imported("brand-new", names=("brand-new", "brand-new-*"))])
    assert book.find("openai", "Brand-New-preview", AT_MS).price_id == "import/brand-new//0"
    with pytest.raises(UnpricedModel):
        book.find("openai", "brand-old", AT_MS)
    with pytest.raises(UnpricedModel):
        book.find("anthropic", "brand-new", AT_MS)


def test_tiers_of_an_import() -> None:
    book = PriceBook([], [imported("gpt-4o-mini"), imported("gpt-4o-mini", tier="flex")])
    found = [
        book.find("openai", "gpt-4o-mini", AT_MS, service_tier=tier).price_id
        for tier in ("flex", "auto", "default")
    ]
    assert found == ["import/gpt-4o-mini/flex/0", "import/gpt-4o-mini//0", "import/gpt-4o-mini//0"]
    with pytest.raises(UnpricedModel):
        book.find("openai", "gpt-4o-mini", AT_MS, service_tier="priority")
    dear = PriceBook([], [imported("gpt-4o-mini"), imported("gpt-4o-mini", tier="priority")])
    assert dear.find("openai", "gpt-4o-mini", AT_MS, service_tier="priority").price_id.endswith("/priority/0")


def test_an_import_is_found_by_the_books_own_name_or_not_at_all() -> None:
    found = ImportedPrices(
        [imported("gpt-4o-mini", from_ms=5), imported("gpt-4o-mini", tier="priority", from_ms=5)]
    )
    assert found.find_by_id("openai", "gpt-4o-mini", 4) == (False, None)
    assert found.find_by_id("openai", "gpt-4o", 5) == (False, None)
    rules, price = found.find_by_id("openai", "GPT-4o-mini", 5, "priority")
    assert rules
    assert price is not None
    assert price.price_id == "import/gpt-4o-mini/priority/5"
    assert found.find_by_id("openai", "gpt-4o-mini", 5, "fast") == (True, None)


def test_a_new_model_by_its_very_name_is_not_taken_for_the_known_one_it_resembles() -> None:
    # The installed book takes this for a version of gpt-4o-mini; the imported one knows it as a model of its own.
    name = "gpt-4o-mini-2099-01-01"
    known_as = base_name("openai", name)
    book = PriceBook([], [imported(name), imported("gpt-4o-mini")])
    assert book.find("openai", name, AT_MS).price_id == f"import/{name}//0"
    if known_as is not None:
        other = PriceBook([], [imported(known_as), imported("brand-new", names=("*",))])
        assert other.find("openai", name, AT_MS).price_id == f"import/{known_as}//0"
    unknown = ImportedPrices([imported("gpt-4o-mini")])
    assert unknown.find("openai", "who-is-this", AT_MS) is None
    assert not unknown.knows("openai", "who-is-this", AT_MS)
