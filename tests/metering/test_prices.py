from __future__ import annotations

import pytest

from metering.errors import MoneyError, UnpricedModel
from metering.prices import PriceBook, PriceEntry, make_price
from metering.rates import Rate

AT_MS = 1_795_219_200_000  # 2026-11-21


def entry(from_ms: int, price_id: str, model: str = "sim-exact") -> PriceEntry:
    rates = {"input": 150_000_000, "output": 600_000_000}
    return PriceEntry(from_ms, make_price(price_id, ("simulator", model), rates=rates))


def test_the_latest_entry_in_force_rules() -> None:
    book = PriceBook([entry(200, "second"), entry(100, "first"), entry(300, "third")])
    found = [
        book.find("simulator", "sim-exact", at_ms).price_id for at_ms in (100, 199, 200, 299, 300, 10**15)
    ]
    assert found == ["first", "first", "second", "second", "third", "third"]


def test_of_two_entries_from_one_instant_the_later_given_rules() -> None:
    assert PriceBook([entry(1, "a"), entry(1, "b")]).find("simulator", "sim-exact", 5).price_id == "b"


def test_before_a_tenants_first_entry_the_base_book_rules() -> None:
    rates = {"input": 1, "output": 1}
    book = PriceBook([PriceEntry(AT_MS, make_price("own", ("openai", "gpt-4o-mini"), rates=rates))])
    assert book.find("openai", "gpt-4o-mini", AT_MS).price_id == "own"
    assert book.find("openai", "gpt-4o-mini", AT_MS - 1).source == "genai-prices"
    with pytest.raises(UnpricedModel):
        PriceBook([entry(100, "first")]).find("simulator", "sim-exact", 99)


def test_an_unknown_model_is_refused_with_the_call_that_prices_it() -> None:
    with pytest.raises(UnpricedModel, match="PUT /api/v1/prices/openai/gpt-unheard-of"):
        PriceBook().find("openai", "gpt-unheard-of", AT_MS)


def test_a_dearer_tier_of_a_model_priced_by_the_tenant_needs_its_own_entry() -> None:
    book = PriceBook([entry(0, "plain")])
    assert book.find("simulator", "sim-exact", 1, service_tier="flex").price_id == "plain"
    with pytest.raises(UnpricedModel, match="sim-exact@priority"):
        book.find("simulator", "sim-exact", 1, service_tier="priority")
    both = PriceBook([entry(0, "plain"), entry(0, "dear", "sim-exact@priority")])
    assert both.find("simulator", "sim-exact", 1, service_tier="priority").price_id == "dear"
    assert both.find("simulator", "sim-exact", 1).price_id == "plain"


def test_a_price_is_built_from_plain_values() -> None:
    price = make_price(
        "pri_1",
        ("openai", "gpt-x"),
        rates={"input": 2_500_000_000, "output": 10_000_000_000},
        tiers={"input": [(200_000, 5_000_000_000)]},
        extras_nanousd={"web_search": 10_000_000},
        per_request_nanousd=3,
    )
    assert price.rates["input"] == Rate(2_500_000_000, ((200_000, 5_000_000_000),))
    assert price.rates["output"] == Rate(10_000_000_000)
    assert (price.extras_nanousd, price.per_request_nanousd) == ({"web_search": 10_000_000}, 3)
    assert (price.provider, price.model, price.source) == ("openai", "gpt-x", "tenant")


@pytest.mark.parametrize(
    ("rates", "rest", "why"),
    [
        ({"input": 1, "inptu": 1}, {}, "inptu"),
        ({"output": 1}, {}, "needs an input rate"),
        ({"input": 1}, {"tiers": {"output": [(1, 1)]}}, "base rate"),
        ({"input": 1}, {"tiers": {"input": [(5, 1), (5, 2)]}}, "ascending"),
        ({"input": -1}, {}, "negative"),
        ({"input": 1}, {"tiers": {"input": [(5, -1)]}}, "negative"),
        ({"input": 1}, {"extras_nanousd": {"web_search": -2}}, "negative"),
        ({"input": 1}, {"per_request_nanousd": -2}, "negative"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(
    rates: dict[str, int], rest: dict[str, object], why: str
) -> None:
    with pytest.raises(MoneyError, match=why):
        make_price("p", ("x", "y"), rates=rates, **rest)  # type: ignore[arg-type]


def test_a_region_is_a_share_on_top_of_whichever_price_rules() -> None:
    book = PriceBook([entry(100, "own")])
    listed, bound = (book.find("simulator", "sim-exact", 200, service_tier=tier) for tier in ("", "us"))
    assert bound.price_id == "own+us"
    assert {name: rate.nanousd_per_mtok for name, rate in bound.rates.items()} == {
        "input": 165_000_000,
        "output": 660_000_000,
    }
    assert listed.rates["input"].nanousd_per_mtok == 150_000_000
    base = PriceBook()
    fast, fast_there = (
        base.find("anthropic", "claude-opus-5", AT_MS, service_tier=tier) for tier in ("fast", "fast-us")
    )
    assert fast_there.rates["output"].nanousd_per_mtok * 100 == fast.rates["output"].nanousd_per_mtok * 110


def test_a_region_raises_every_step_of_a_rate_and_no_fee() -> None:
    price = make_price(
        "p",
        ("simulator", "sim-exact"),
        rates={"input": 1},
        tiers={"input": [(10, 101)]},
        extras_nanousd={"web_search": 10_000_000},
    )
    found = PriceBook([PriceEntry(1, price)]).find("simulator", "sim-exact", 2, service_tier="us")
    assert found.rates["input"] == Rate(2, ((10, 112),))
    assert found.extras_nanousd == {"web_search": 10_000_000}
