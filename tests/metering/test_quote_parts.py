"""Each part of a quote worked out by hand, beside the properties of `test_quote.py`."""

from __future__ import annotations

import pytest

from metering.errors import RequestShapeError, UnpricedModel
from metering.money import LIMIT_NANOUSD_MAX
from metering.quote import BoundClass, Elsewhere, InputBound, OutputCap, quote_for
from metering.rates import Price, Rate

MTOK = 1_000_000
# Nano-dollars a token, so that every figure below can be checked in the head.
PRICE = Price(
    "pri_1",
    "acme",
    "big",
    {
        "input": Rate(2 * MTOK),
        "output": Rate(3 * MTOK),
        "audio_input": Rate(10 * MTOK),
        "image_input": Rate(7 * MTOK),
    },
    extras_nanousd={"web_search": 1_000, "file_search": 50},
    per_request_nanousd=11,
)
NO_OUTPUT = OutputCap(0, 1, 0, "caller", may_clamp=False)


def bound(tokens: int, **more: object) -> InputBound:
    return InputBound(tokens, BoundClass.HARD, **more)  # type: ignore[arg-type]


def test_fees_are_added_for_each_extra_and_for_the_request() -> None:
    searched = bound(5, extras=(("web_search", 3), ("file_search", 2), ("maps", 0)))
    quote = quote_for(searched, NO_OUTPUT, PRICE)
    assert quote.cost.least == quote.cost.at_cap == 5 * 2 + 3 * 1_000 + 2 * 50 + 11
    assert quote.cost.per_output_token == 0


def test_an_extra_without_a_price_is_refused_by_name() -> None:
    with pytest.raises(UnpricedModel) as refused:
        quote_for(bound(5, extras=(("maps", 1),)), NO_OUTPUT, PRICE)
    assert (refused.value.provider, refused.value.model) == ("acme", "big:maps")


def test_sound_and_pictures_are_priced_apart_from_text() -> None:
    mixed = quote_for(bound(100, audio_tokens=20, image_tokens=30), NO_OUTPUT, PRICE)
    assert mixed.cost.least == 50 * 2 + 20 * 10 + 30 * 7 + 11
    cap = OutputCap(1, 1, 1, "caller", may_clamp=False, audio=True)
    with pytest.raises(UnpricedModel) as refused:
        quote_for(bound(1), cap, PRICE)
    assert (refused.value.provider, refused.value.model) == ("acme", "big:audio_output")


def test_every_round_may_use_the_whole_cap() -> None:
    quote = quote_for(bound(10, rounds=4), OutputCap(100, 2, 50, "caller", may_clamp=True), PRICE)
    assert quote.cost.at_cap == 10 * 2 + 11 + 100 * 2 * 4 * 3
    assert (quote.cost.per_output_token, quote.cost.at_minimum) == (24, 10 * 2 + 11 + 50 * 24)


def test_a_cap_that_must_not_be_cut_has_its_whole_as_minimum() -> None:
    whole = quote_for(bound(10), OutputCap(100, 1, 100, "caller", may_clamp=False), PRICE)
    assert whole.cost.at_minimum == whole.cost.at_cap == 10 * 2 + 11 + 300
    assert (whole.bound.tokens, whole.cap.tokens, whole.price_id) == (10, 100, "pri_1")


def test_another_models_part_is_priced_as_its_own() -> None:
    small = Price("pri_2", "acme", "small", {"input": Rate(MTOK, ((15, 5 * MTOK),)), "output": Rate(MTOK)})
    one = Elsewhere("small", 10, 4)
    alone = quote_for(bound(2, elsewhere=(one,)), NO_OUTPUT, PRICE, elsewhere={"small": small})
    assert alone.cost.least == 2 * 2 + 11 + 10 * 1 + 4 * 1
    # Reported in one sum, both prompts together may reach the dearer tier.
    reaching = quote_for(bound(8, elsewhere=(one,)), NO_OUTPUT, PRICE, elsewhere={"small": small})
    assert reaching.cost.least == 8 * 2 + 11 + 10 * 5 + 4 * 1
    with pytest.raises(UnpricedModel) as refused:
        quote_for(bound(2, elsewhere=(one,)), NO_OUTPUT, PRICE)
    assert (refused.value.provider, refused.value.model) == ("acme", "small")


def test_the_largest_budget_there_is_can_be_asked_for_and_no_more() -> None:
    dear = Price("pri_3", "acme", "dear", {"input": Rate(MTOK), "output": Rate(MTOK)})
    assert quote_for(bound(LIMIT_NANOUSD_MAX), NO_OUTPUT, dear).cost.at_cap == LIMIT_NANOUSD_MAX
    with pytest.raises(RequestShapeError, match=r"ask for less output$"):
        quote_for(bound(LIMIT_NANOUSD_MAX + 1), NO_OUTPUT, dear)
