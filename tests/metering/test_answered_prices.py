"""Which price rules when another model answers than was asked for, and what an import changes."""

from __future__ import annotations

import pytest

from metering.base_prices import base_name, meant_by
from metering.errors import UnpricedModel
from metering.imported_prices import ImportedPrices
from metering.prices import ImportedPrice, PriceBook, PriceEntry, make_price
from metering.rates import Rate, dearest_of

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


def input_rates(book: PriceBook, model: str) -> tuple[int, int]:
    """A model's rate of input as it is booked, and as it is quoted."""
    booked = book.find("google", model, AT_MS).rates["input"]
    quoted = book.find_quoted("google", model, AT_MS).rates["input"]
    return booked.dearest(2**40), quoted.dearest(2**40)


@pytest.mark.parametrize("family", ["flash", "pro", "flash-lite"])
def test_a_name_that_moves_is_quoted_at_the_dearest_that_may_answer_to_it(family: str) -> None:
    alias, book = f"gemini-{family}-latest", PriceBook()
    quoted = book.find_quoted("google", alias, AT_MS)
    versions = [f"gemini-{number}-{family}" for number in ("3", "3.1", "3.5", "3.6", "3.7", "3.8")]
    compared = 0
    for model in [name + stage for name in versions for stage in ("", "-preview")]:
        if base_name("google", model) != model:
            continue
        answered = book.find("google", model, AT_MS)
        for bucket, rate in answered.rates.items():
            assert quoted.rate_for(bucket).dearest(10**6) >= rate.dearest(10**6), (model, bucket)
        assert all(quoted.extras_nanousd[name] >= fee for name, fee in answered.extras_nanousd.items())
        compared += 1
    assert compared > 0
    assert quoted.price_id == book.find("google", alias, AT_MS).price_id


def test_an_older_and_dearer_model_that_answered_is_within_the_quote() -> None:
    booked, quoted = input_rates(PriceBook(), "gemini-flash-latest")
    answered = PriceBook().find("google", "gemini-3.5-flash", AT_MS).rates["input"].nanousd_per_mtok
    assert booked < answered <= quoted, (
        "recorded: this name was answered by 3.5 when the book knew a cheaper one"
    )


def test_a_name_that_moves_is_dear_wherever_the_model_is_served() -> None:
    book = PriceBook()
    elsewhere = book.find_quoted("vertex", "gemini-flash-latest", AT_MS)
    assert elsewhere.rates == book.find_quoted("google", "gemini-flash-latest", AT_MS).rates


def test_a_name_that_stands_is_quoted_as_it_is_booked() -> None:
    for model in ("gemini-2.5-flash", "gemini-3.5-flash"):
        assert input_rates(PriceBook(), model)[0] == input_rates(PriceBook(), model)[1]


def test_names_that_move_may_mean_what_a_tenant_priced_or_imported() -> None:
    dear = {"input": 10**12, "output": 10**12}
    entry = PriceEntry(0, make_price("own", ("google", "gemini-3.5-flash"), rates=dear))
    new = ImportedPrice(0, make_price("new", ("google", "gemini-4-flash"), rates=dear), ("gemini-4-flash",))
    other = ImportedPrice(0, make_price("not", ("google", "gemini-4-live"), rates=dear), ("gemini-4-live",))
    for book in (PriceBook([entry]), PriceBook([], [new])):
        assert input_rates(book, "gemini-flash-latest")[1] == 10**12
    assert input_rates(PriceBook([], [other]), "gemini-flash-latest")[1] < 10**12


def test_a_tier_that_none_of_them_has_is_not_served() -> None:
    with pytest.raises(UnpricedModel):
        PriceBook().find_quoted("google", "gemini-ultra-latest", AT_MS)
    # What has no price for a tier is left out of those that may answer under it.
    assert PriceBook([own("m-latest", provider="here")]).find_quoted("here", "m-latest", AT_MS).rates


def test_the_newest_versions_that_begin_as_the_name_does_are_meant() -> None:
    models = [*(f"m-{number}-pro" for number in range(1, 8)), "m-pro", "m-5.1-pro", "m-7-pro-mini", "x-9-pro"]
    assert set(meant_by("m-pro-latest", models)) == {f"m-{number}-pro" for number in (4, 5, 6, 7)} | {
        "m-5.1-pro"
    }
    assert meant_by("m-5-pro-latest", [*models, "m-5-0402-pro"]) == ["m-5-0402-pro", "m-5-pro"]
    assert meant_by("m-pro:latest", ["m-pro", "M-Pro-Preview"]) == ["m-pro", "M-Pro-Preview"]


def test_the_dearest_of_several_prices_is_above_each_in_every_bucket() -> None:
    one = make_price("one", ("p", "a"), rates={"input": 5, "output": 9}, tiers={"input": [(100, 50)]})
    two = make_price(
        "two",
        ("p", "b"),
        rates={"input": 7, "cache_read": 6},
        extras_nanousd={"web_search": 3},
        per_request_nanousd=4,
    )
    dearest = dearest_of(one, [one, two])
    assert dearest_of(one, [one]) is one
    assert (dearest.price_id, dearest.per_request_nanousd, dearest.extras_nanousd) == (
        "one",
        4,
        {"web_search": 3},
    )
    assert dearest.rates["input"] == Rate(7, ((100, 50),))
    assert dearest.rates["cache_read"] == Rate(6, ((100, 50),)), "one bills its cache as fresh input"
    assert dearest.rates["output"] == Rate(9)


def test_what_has_no_price_of_a_tier_is_left_out_of_those_that_may_answer() -> None:
    entries = [own("m-latest@priority", "dear", "openai"), own("m-9", "plain", "openai")]
    with pytest.raises(UnpricedModel):
        PriceBook(entries).find("openai", "m-9", AT_MS, service_tier="priority")
    new = imported("m-9")
    quoted = PriceBook(entries, [new]).find_quoted("openai", "m-latest", AT_MS, service_tier="priority")
    assert quoted.price_id == "dear"
