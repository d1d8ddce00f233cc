from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from metering import base_prices
from metering.base_prices import find_base
from metering.cost import cost_of
from metering.rates import Price, Rate
from metering.usage import Usage


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


AT_MS = ms("2026-11-21T05:00")


def found(provider: str, model: str, at_ms: int = AT_MS, tier: str = "") -> Price:
    price = find_base(provider, model, at_ms, tier)
    assert price is not None
    return price


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> list[ModelInfo]:
    """A base book of one provider, whose models the test gives."""
    models: list[ModelInfo] = []
    maker = Provider(id="maker", name="Maker", api_pattern="", models=models)
    monkeypatch.setattr(base_prices, "installed_providers", lambda: [maker])
    monkeypatch.setattr(base_prices, "_spans", {})
    return models


def model(prices: Any, name: str = "m", variants: list[PriceVariant] | None = None) -> ModelInfo:
    return ModelInfo(id=name, match=ClauseEquals(equals=name), prices=prices, price_variants=variants)


def usd(**prices: Any) -> ModelPrice:
    return ModelPrice(
        **{key: Decimal(value) if isinstance(value, str) else value for key, value in prices.items()}
    )


def test_a_known_model_has_its_published_price_in_integers() -> None:
    price = found("openai", "gpt-4o-mini")
    assert price.rates["input"] == Rate(150_000_000)
    assert price.rates["cache_read"] == Rate(75_000_000)
    assert price.rates["output"] == Rate(600_000_000)
    assert price.extras_nanousd["web_search"] == 10_000_000
    assert price.price_id == f"{base_prices.book_name()}/openai/gpt-4o-mini/base"


def test_names_match_as_genai_prices_matches_them() -> None:
    dated = found("openai", "gpt-4o-2024-08-06")
    assert "/openai/gpt-4o/" in dated.price_id
    assert dated.model == "gpt-4o-2024-08-06"
    assert "/openai/gpt-5.4/" in found("openai", "gpt-5.4-20260305").price_id
    assert "/google/gemini-2.5-flash/" in found("gemini", "gemini-2.5-flash").price_id
    assert find_base("openai", "gpt-unheard-of", AT_MS) is None
    assert find_base("nobody", "gpt-4o", AT_MS) is None


def test_long_context_tiers_come_along() -> None:
    price = found("openai", "gpt-5.4")
    at_edge = cost_of(Usage(input_tokens=272_000), price)
    over_it = cost_of(Usage(input_tokens=272_001), price)
    assert (at_edge, over_it) == (272_000 * 2500, 272_001 * 5000)


def test_a_price_holds_from_its_date_on() -> None:
    before, after = (
        found("openai", "o3", ms("2025-06-09T23:59:59")),
        found("openai", "o3", ms("2025-06-10T00:00")),
    )
    assert (before.rates["input"].nanousd_per_mtok, before.price_id.rpartition("/")[2]) == (
        10_000_000_000,
        "base",
    )
    assert (after.rates["input"].nanousd_per_mtok, after.price_id.rpartition("/")[2]) == (
        2_000_000_000,
        "2025-06-10",
    )


def test_every_instant_is_priced_as_genai_prices_prices_it() -> None:
    """All models with dated prices or hours, looked up across their edges in an order that strains the cache."""
    days = [
        ms(f"{day}T{hour}")
        for day in ("2025-06-10", "2026-07-30", "2026-10-12")
        for hour in ("00:29", "00:30", "16:30", "23:59")
    ]
    base_prices._spans.clear()
    for source in providers:
        for info in source.models:
            if not isinstance(info.prices, list) or source.id == "openrouter":
                continue
            for at_ms in (*days, AT_MS, *reversed(days)):
                price = find_base(source.id, info.id, at_ms)
                matched = source.find_model(info.id, all_providers=providers)
                expected = (
                    matched and matched.get_prices(datetime.fromtimestamp(at_ms / 1000, UTC)).input_mtok
                )
                if price is not None and isinstance(expected, Decimal):
                    assert abs(price.rates["input"].nanousd_per_mtok - expected * 10**9) < 1  # float noise


def test_no_model_is_free_unless_it_says_so() -> None:
    free = []
    for source in providers:
        for info in source.models:
            price = find_base(source.id, info.id, AT_MS)
            if price is None:
                continue
            if any(rate.nanousd_per_mtok == 0 for rate in price.rates.values()):
                free.append((source.id, info.id))
                assert "free variant" in price.source
    assert free
    assert all(provider == "openrouter" and name.endswith(":free") for provider, name in free)


def test_a_dearer_tier_is_never_below_the_standard_one() -> None:
    for source in providers:
        for info in source.models:
            standard = find_base(source.id, info.id, AT_MS)
            for tier in base_prices.DEARER_TIERS:
                dear = find_base(source.id, info.id, AT_MS, tier)
                if standard is None or dear is None:
                    continue
                for bucket in ("input", "output"):
                    assert dear.rate_for(bucket).at(1000) >= standard.rate_for(bucket).at(1000), (
                        info.id,
                        tier,
                    )


def test_service_tiers_have_their_own_price() -> None:
    standard, priority = found("openai", "gpt-4o"), found("openai", "gpt-4o", tier="priority")
    assert (standard.rates["input"].nanousd_per_mtok, priority.rates["input"].nanousd_per_mtok) == (
        2_500_000_000,
        4_250_000_000,
    )
    assert priority.price_id.endswith("/base+priority")
    assert found("openai", "gpt-5", tier="flex").rates["input"].nanousd_per_mtok == 625_000_000
    assert found("openai", "gpt-4o", tier="flex") == standard
    assert found("openai", "gpt-4o", tier="auto") == standard
    # Before its date, for a model without it, and for one nobody has heard of, a dear tier has no known price.
    assert find_base("openai", "gpt-4o", ms("2026-10-11"), "priority") is None
    assert find_base("openai", "gpt-3.5-turbo", AT_MS, "priority") is None
    assert find_base("openai", "gpt-4o", AT_MS, "platinum") is None


def test_a_speed_of_anthropics_is_a_tier(book: list[ModelInfo]) -> None:
    fast = PriceVariant(when={"speed": "fast"}, prices=usd(input_mtok="30"))
    other = PriceVariant(when={"route": "eu"}, prices=usd(input_mtok="90"))
    book.append(model(usd(input_mtok="5", output_mtok="25"), variants=[other, fast]))
    assert found("maker", "m", tier="fast").rates["input"] == Rate(30_000_000_000)
    assert found("maker", "m", tier="fast").rates["output"] == Rate(25_000_000_000)


def test_hours_of_the_day_have_their_price(book: list[ModelInfo]) -> None:
    night = TimeOfDateConstraint(start_time=time(22, 30, tzinfo=UTC), end_time=time(1))
    book.append(
        model(
            [
                ConditionalPrice(prices=usd(input_mtok="2")),
                ConditionalPrice(night, prices=usd(input_mtok="1")),
                ConditionalPrice(StartDateConstraint(date(2027, 1, 1)), prices=usd(input_mtok="3")),
            ]
        )
    )
    asked = ("22:29:59", "22:30", "23:59", "12:00", "00:30", "00:59:59", "01:00", "22:30")
    rates = [
        found("maker", "m", ms(f"2026-11-21T{hour}")).rates["input"].nanousd_per_mtok // 10**9
        for hour in asked
    ]
    assert rates == [2, 1, 1, 2, 1, 1, 2, 1]
    assert found("maker", "m", ms("2026-11-21T23:00")).price_id.endswith("/22:30:00+00:00")
    assert found("maker", "m", ms("2027-01-01T23:00")).rates["input"] == Rate(3_000_000_000)


def test_float_noise_is_dropped_and_what_is_left_rounds_up(book: list[ModelInfo]) -> None:
    book.append(model(usd(input_mtok="0.18000000000000002", cache_write_mtok="0.08333333333333334")))
    rates = found("maker", "m").rates
    assert (rates["input"], rates["cache_write_5m"]) == (Rate(180_000_000), Rate(83_333_334))


def test_a_zero_is_a_gap_and_not_a_gift(book: list[ModelInfo]) -> None:
    book += [
        model(usd(input_mtok="0", output_mtok="0"), "nought"),
        model(usd(input_mtok="1", output_mtok="0", cache_read_mtok="0"), "half"),
        model(usd(input_mtok=TieredPrices(Decimal(1), [Tier(100, Decimal(0))])), "cliff"),
        model(usd(), "m:free"),
    ]
    assert find_base("maker", "nought", AT_MS) is None
    assert set(found("maker", "half").rates) == {"input"}
    assert find_base("maker", "cliff", AT_MS) is None
    assert find_base("maker", "m:free", AT_MS) is None


def test_a_model_billed_by_what_nobody_counts_is_unpriced(book: list[ModelInfo]) -> None:
    book += [
        model(usd(input_mtok="1", output_mtok="2", output_citation_mtok="2"), "cites"),
        model(usd(audio_hours="0.36"), "hears"),
        model(
            usd(input_mtok="1", audio_hours="0.36", requests_kcount="5", cache_image_read_mtok="1"), "both"
        ),
    ]
    assert find_base("maker", "cites", AT_MS) is None
    assert find_base("maker", "hears", AT_MS) is None
    both = found("maker", "both")
    assert (both.extras_nanousd, both.per_request_nanousd) == ({"audio_second": 100_000}, 5_000_000)


def test_pictures_in_the_output_are_not_billed_as_text(book: list[ModelInfo]) -> None:
    tiered = TieredPrices(Decimal(2), [Tier(100, Decimal(40))])
    book.append(model(usd(input_mtok="1", output_mtok=tiered, output_image_mtok="30")))
    price = found("maker", "m")
    assert price.rates["output"] == Rate(2_000_000_000, ((100, 40_000_000_000),))
    assert price.extras_nanousd == {"image_output_token": 30_000}
    painted = Usage(input_tokens=1, output_tokens=2, extras=(("image_output_token", 3),))
    assert cost_of(painted, price) == 1_000 + 2 * 2_000 + 3 * 30_000


def test_where_nothing_but_pictures_has_a_price_all_output_has_theirs(book: list[ModelInfo]) -> None:
    tiered = TieredPrices(Decimal(30), [Tier(100, Decimal(40))])
    book.append(model(usd(input_mtok="1", output_image_mtok=tiered)))
    book.append(model(usd(input_mtok="1", output_mtok="2", output_image_mtok="0"), "gap"))
    price, gap = found("maker", "m"), found("maker", "gap")
    assert price.rates["output"] == Rate(30_000_000_000, ((100, 40_000_000_000),))
    assert price.extras_nanousd == {"image_output_token": 40_000}
    assert gap.extras_nanousd == {}
    painted = Usage(extras=(("image_output_token", 3),))
    assert cost_of(painted, gap) == 3 * 2_000, "a price that has none for pictures bills them as output"


def test_the_memory_of_prices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_prices, "_SPANS_MAX", 2)
    for number in range(5):
        find_base("openai", f"no-such-{number}", AT_MS)
    assert len(base_prices._spans) <= 2
