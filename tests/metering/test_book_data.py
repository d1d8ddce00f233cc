"""A base book as data: read from a file, spelt as callers spell it, and every price its ids can name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metering.base_prices import base_ids, base_name, book_name, find_base, installed_providers
from metering.book_data import BookModel, every_price, models_of, read_book
from metering.errors import BookUnreadable

AT_MS = 1_795_219_200_000  # 2026-11-21


def read(*models: dict[str, Any], **more: Any) -> list[BookModel]:
    """The models of a book of one provider."""
    book = [{"id": "sim", "name": "Sim", "api_pattern": "x", "models": list(models), **more}]
    return list(models_of(read_book(json.dumps(book).encode())))


def model(**changes: Any) -> dict[str, Any]:
    prices = {"input_mtok": 1, "output_mtok": 2}
    return {"id": "Sim-1", "match": {"equals": "sim-1"}, "prices": prices, **changes}


def test_an_id_never_names_two_prices() -> None:
    found: dict[str, object] = {}
    for each in models_of(installed_providers()):
        dates_ms = {0, AT_MS, *(found.from_ms for found in each.prices_from(0, book_name()))}
        for at_ms in sorted(dates_ms):
            for one in each.prices_at(at_ms, book_name()):
                assert found.setdefault(one.price.price_id, one.price) == one.price


def test_every_price_in_force_is_among_those_its_book_can_name() -> None:
    listed = every_price(installed_providers(), book_name())
    for provider in installed_providers():
        for info in provider.models:
            for tier in ("", "flex", "priority", "fast"):
                price = find_base(provider.id, info.id, AT_MS, tier)
                assert price is None or listed[price.price_id].price.rates == price.rates
    assert find_base("azure", "gpt-4o", AT_MS).price_id in listed  # type: ignore[union-attr]  # it is known
    assert any(price_id.startswith("farebox/free/openai/") for price_id in listed)


def test_names_are_globs_of_what_the_book_matches() -> None:
    clauses = [
        {"equals": "A[1]"}, {"starts_with": "b-"}, {"ends_with": "-C"}, {"contains": "d?"}, {"regex": "e.*"},
        {"and": [{"contains": "f"}, {"contains": "g"}]},
    ]  # fmt: skip
    [found] = read(model(match={"or": clauses}))
    assert found.names == ("sim-1", "a[[]1]", "b-*", "*-c", "*d[?]*")


def test_tiers_billed_as_standard_are_left_out() -> None:
    later = {"start_date": "2030-01-01"}
    variants = [
        {"when": {"service_tier": "flex"}, "prices": {"input_mtok": 0.5}},
        {"when": {"service_tier": "priority"}, "prices": {"input_mtok": 3}, "constraint": later},
        {"when": {"processing": "batch"}, "prices": {"input_mtok": 0.1}},
        {"when": {"search_type": "web"}, "prices": {"input_mtok": 0.1}},
    ]
    [found] = read(model(price_variants=variants))
    assert found.tiers == ("", "flex", "priority")
    told = [(each.service_tier, each.price.price_id) for each in found.prices_at(AT_MS, "book")]
    assert told == [("", "book/sim/Sim-1/base"), ("flex", "book/sim/Sim-1/base+flex")]
    assert [each.service_tier for each in found.prices_from(AT_MS, "book")] == [
        "",
        "flex",
        "",
        "flex",
        "priority",
    ]


def test_a_price_by_the_hour_is_known_as_one() -> None:
    hours = {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}
    dated = [{"prices": {"input_mtok": 1}}, {"constraint": hours, "prices": {"input_mtok": 0.5}}]
    by_the_hour, plain = read(model(prices=dated), model(id="sim-2"))
    assert (by_the_hour.by_the_hour, plain.by_the_hour) == (True, False)
    ids = every_price([by_the_hour.source], "book")
    assert {price_id for price_id in ids if "Sim-1" in price_id} == {
        "book/sim/Sim-1/base",
        "book/sim/Sim-1/16:30:00+00:00",
    }


def test_what_another_provider_makes_is_sold_under_the_sellers_name() -> None:
    maker = {"id": "maker", "name": "Maker", "api_pattern": "y", "models": [model(), model(id="own")]}
    seller = {
        "id": "seller", "name": "Seller", "api_pattern": "x", "models": [model(id="own")],
        "fallback_model_providers": ["maker", "nobody"],
    }  # fmt: skip
    found = models_of(read_book(json.dumps([seller, maker]).encode()))
    assert [each.name for each in found] == [
        ("seller", "own"), ("seller", "Sim-1"), ("maker", "Sim-1"), ("maker", "own"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"{}", b"[]", b"[1]", b"null", b'[{"id":"a"}]', b"[" * 100_000]
)
def test_what_is_no_book_is_refused(raw: bytes) -> None:
    with pytest.raises(BookUnreadable):
        read_book(raw)


def test_a_book_without_a_model_is_refused() -> None:
    with pytest.raises(BookUnreadable, match="no model"):
        read()


def test_the_books_own_names() -> None:
    assert {"gpt-4o-mini", "gpt-4o"} <= base_ids("openai") & base_ids("azure")
    assert base_ids("nobody") == frozenset()
    assert base_name("openai", "gpt-4o-mini-2024-07-18") == "gpt-4o-mini"
    assert base_name("openai", "nobody-knows") is None
