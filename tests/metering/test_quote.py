from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.cost import cost_of
from metering.errors import RequestShapeError, UnpricedModel
from metering.money import charge_for
from metering.quote import BoundClass, Elsewhere, InputBound, OutputCap, bound_by_count, quote_for
from metering.rates import Price, Rate
from metering.usage import Usage

rate = st.builds(
    lambda base, steps: Rate(base, tuple(sorted(dict(steps).items()))),
    st.integers(0, 10**11),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 10**11)), max_size=3),
)
prices = st.builds(
    lambda rates, audio, fee: Price("p", "x", "y", {**rates, **audio}, per_request_nanousd=fee),
    st.fixed_dictionaries(
        {"input": rate, "output": rate},
        optional={
            "cache_read": rate,
            "cache_write_5m": rate,
            "cache_write_1h": rate,
            "reasoning": rate,
            "image_input": rate,
        },
    ),
    st.fixed_dictionaries({"audio_input": rate, "audio_output": rate}),
    st.integers(0, 10**6),
)


@st.composite
def bounded_usages(draw: st.DrawFn) -> tuple[InputBound, OutputCap, Usage]:
    """A bound, a cap and any usage that a provider may report within them."""
    tokens = draw(st.integers(0, 4000))
    audio = draw(st.integers(0, tokens))
    image = draw(st.integers(0, tokens - audio))
    used_audio, used_image = draw(st.integers(0, audio)), draw(st.integers(0, image))
    text = draw(st.integers(0, tokens - used_audio - used_image))
    cuts = sorted(draw(st.lists(st.integers(0, text), min_size=3, max_size=3)))
    cap, choices, spoken = draw(st.integers(0, 500)), draw(st.integers(1, 4)), draw(st.booleans())
    out = draw(st.integers(0, cap * choices))
    thought = draw(st.integers(0, out))
    heard = draw(st.integers(0, out - thought)) if spoken else 0
    usage = Usage(
        input_tokens=cuts[0],
        cache_read_tokens=cuts[1] - cuts[0],
        cache_write_5m_tokens=cuts[2] - cuts[1],
        cache_write_1h_tokens=text - cuts[2],
        audio_input_tokens=used_audio,
        image_input_tokens=used_image,
        output_tokens=out - thought - heard,
        reasoning_tokens=thought,
        audio_output_tokens=heard,
    )
    minimum = draw(st.integers(0, cap))
    bound = InputBound(tokens, BoundClass.HARD, audio, image)
    return bound, OutputCap(cap, choices, minimum, "caller", may_clamp=True, audio=spoken), usage


@given(
    bounded_usages(),
    prices,
    st.integers(0, 30_000),
    st.integers(0, 10**6),
)
def test_a_quote_is_never_below_the_cost_of_a_usage_within_its_bound(
    case: tuple[InputBound, OutputCap, Usage], price: Price, markup_bp: int, fixed_nanousd: int
) -> None:
    bound, cap, usage = case
    quote = quote_for(bound, cap, price, markup_bp=markup_bp, markup_fixed_nanousd=fixed_nanousd)
    cost = cost_of(usage, price)
    assert cost <= quote.cost.at_cap
    assert charge_for(cost, markup_bp, fixed_nanousd) <= quote.charge.at_cap


@given(bounded_usages(), prices, st.integers(0, 30_000), st.integers(0, 10**6), st.data())
def test_a_hold_cut_to_a_smaller_cap_still_covers_that_cap(
    case: tuple[InputBound, OutputCap, Usage],
    price: Price,
    markup_bp: int,
    fixed_nanousd: int,
    data: st.DataObject,
) -> None:
    bound, cap, _ = case
    smaller = data.draw(st.integers(0, cap.tokens))
    whole = quote_for(bound, cap, price, markup_bp=markup_bp, markup_fixed_nanousd=fixed_nanousd)
    cut = quote_for(
        bound,
        OutputCap(smaller, cap.choices, smaller, "caller", may_clamp=False, audio=cap.audio),
        price,
        markup_bp=markup_bp,
        markup_fixed_nanousd=fixed_nanousd,
    )
    for whole_amounts, cut_amounts in ((whole.cost, cut.cost), (whole.charge, cut.charge)):
        line = whole_amounts.least + smaller * whole_amounts.per_output_token
        assert cut_amounts.at_cap <= whole_amounts.at(smaller) <= line
        assert whole_amounts.least <= whole_amounts.at_minimum <= whole_amounts.at_cap


WHOLE = Price("p9", "sim", "sim-exact", {"input": Rate(2_000_000), "output": Rate(7_000_000)})


@given(prompt=st.integers(0, 10**6), cap_tokens=st.integers(0, 10**6), choices=st.integers(1, 8))
def test_whole_prices_and_an_exact_bound_leave_no_slack(prompt: int, cap_tokens: int, choices: int) -> None:
    cap = OutputCap(cap_tokens, choices, min(cap_tokens, 100), "caller", may_clamp=True)
    quote = quote_for(InputBound(prompt, BoundClass.EXACT), cap, WHOLE)
    used = Usage(input_tokens=prompt, output_tokens=cap_tokens * choices)
    assert quote.cost.at_cap == cost_of(used, WHOLE) == quote.cost.at(cap_tokens)
    assert quote.cost.least == cost_of(Usage(input_tokens=prompt), WHOLE)
    assert quote.charge == quote.cost
    assert quote.price_id == "p9"


def _cap(tokens: int = 100, **rest: bool) -> OutputCap:
    return OutputCap(tokens, 1, 10, "default", may_clamp=True, **rest)


def test_amounts_are_what_the_arithmetic_says() -> None:
    quote = quote_for(
        InputBound(1000, BoundClass.EXACT), _cap(), WHOLE, markup_bp=2000, markup_fixed_nanousd=5
    )
    assert (quote.cost.least, quote.cost.at_cap, quote.cost.per_output_token) == (2000, 2700, 7)
    assert quote.cost.at_minimum == 2070
    assert (quote.charge.least, quote.charge.at_cap, quote.charge.per_output_token) == (2405, 3245, 9)


def test_the_dearest_place_of_the_text_is_quoted() -> None:
    price = Price("p", "x", "y", {"input": Rate(10**6), "cache_write_1h": Rate(2 * 10**6), "output": Rate(0)})
    anywhere = InputBound(100, BoundClass.HARD)
    without = InputBound(100, BoundClass.HARD, text_buckets=("input", "cache_read", "cache_write_5m"))
    assert quote_for(anywhere, _cap(0), price).cost.least == 200
    assert quote_for(without, _cap(0), price).cost.least == 100


@pytest.mark.parametrize(("tokens", "least"), [(272_000, 272_000), (272_001, 544_002)])
def test_the_tier_is_chosen_by_the_bound(tokens: int, least: int) -> None:
    price = Price("p", "x", "y", {"input": Rate(10**6, ((272_000, 2 * 10**6),))})
    assert quote_for(InputBound(tokens, BoundClass.HARD), _cap(0), price).cost.least == least


def test_a_tier_that_is_cheaper_above_does_not_lower_the_quote() -> None:
    price = Price("p", "x", "y", {"input": Rate(3 * 10**6, ((100, 10**6),))})
    assert quote_for(InputBound(200, BoundClass.HARD), _cap(0), price).cost.least == 600


def test_sound_without_a_price_of_its_own_is_refused() -> None:
    price = Price("p", "x", "y", {"input": Rate(1), "output": Rate(1)})
    with pytest.raises(UnpricedModel, match="audio_input"):
        quote_for(InputBound(10, BoundClass.HARD, audio_tokens=5), _cap(), price)
    with pytest.raises(UnpricedModel, match="audio_output"):
        quote_for(InputBound(10, BoundClass.HARD), _cap(audio=True), price)


def test_output_without_a_price_is_refused_unless_none_is_asked_for() -> None:
    price = Price("p", "x", "embedding", {"input": Rate(10**6)})
    assert quote_for(InputBound(10, BoundClass.HARD), _cap(0), price).cost.at_cap == 10
    with pytest.raises(UnpricedModel, match="x/embedding"):
        quote_for(InputBound(10, BoundClass.HARD), _cap(), price)


def test_a_free_model_is_charged_nothing_and_a_free_prompt_its_fixed_part() -> None:
    free = Price("p", "x", "y", {"input": Rate(0), "output": Rate(0)})
    nothing = quote_for(
        InputBound(10, BoundClass.HARD), _cap(), free, markup_bp=100, markup_fixed_nanousd=5
    ).charge
    assert (nothing.least, nothing.at_cap, nothing.per_output_token) == (0, 0, 0)
    prompt_free = Price("p", "x", "y", {"input": Rate(0), "output": Rate(10**6)})
    charge = quote_for(InputBound(10, BoundClass.HARD), _cap(), prompt_free, markup_fixed_nanousd=5).charge
    assert (charge.least, charge.at_cap) == (5, 105)


def test_a_minimum_as_large_as_the_cap_is_the_whole_quote() -> None:
    price = Price("p", "x", "y", {"input": Rate(0), "output": Rate(100_000)})
    uncut = OutputCap(1000, 1, 1000, "caller", may_clamp=False)
    assert quote_for(InputBound(0, BoundClass.HARD), uncut, price).cost.at_minimum == 100
    nearly = OutputCap(1000, 1, 900, "caller", may_clamp=True)
    assert quote_for(InputBound(0, BoundClass.HARD), nearly, price).cost.at_minimum == 100


def test_a_quote_beyond_what_redis_counts_exactly_is_refused() -> None:
    bound = InputBound(1, BoundClass.EXACT)
    price = Price("p", "x", "y", {"input": Rate(10**9), "output": Rate(32_700 * 10**6)})
    with pytest.raises(RequestShapeError, match="less output"):
        quote_for(bound, OutputCap(2**31, 128, 2**31, "caller", may_clamp=False), price, markup_bp=100)
    assert quote_for(bound, OutputCap(2**31, 1, 2**31, "caller", may_clamp=False), price).cost.at_cap < 2**53


def test_other_models_that_work_on_a_call_are_quoted_at_their_own_prices() -> None:
    own = Price("p", "anthropic", "small", {"input": Rate(10**9), "output": Rate(2 * 10**9)})
    other = Price(
        "q",
        "anthropic",
        "large",
        {"input": Rate(5 * 10**9), "cache_write_5m": Rate(6 * 10**9), "output": Rate(9 * 10**9)},
    )
    bound = InputBound(1000, BoundClass.EMPIRICAL, elsewhere=(Elsewhere("large", 2000, 300),))
    cap = OutputCap(tokens=100, choices=1, minimum_tokens=100, source="caller", may_clamp=False)
    quote = quote_for(bound, cap, own, elsewhere={"large": other})
    assert quote.cost.at_cap == 1000 * 1000 + 100 * 2000 + 2000 * 6000 + 300 * 9000
    with pytest.raises(UnpricedModel, match="anthropic/large"):
        quote_for(bound, cap, own)


def test_samplings_that_are_reported_in_one_sum_reach_its_tier() -> None:
    steps = {"input": Rate(10**9, ((2500, 3 * 10**9),)), "output": Rate(10**9, ((2500, 2 * 10**9),))}
    price = Price("p", "anthropic", "small", steps)
    bound = InputBound(1000, BoundClass.EMPIRICAL, elsewhere=(Elsewhere("small", 2000, 300),))
    cap = OutputCap(tokens=100, choices=1, minimum_tokens=100, source="caller", may_clamp=False)
    most = quote_for(bound, cap, price, elsewhere={"small": price}).cost.at_cap
    assert most == cost_of(Usage(input_tokens=3000, output_tokens=400), price)


def test_a_providers_own_count_stands_for_our_bound_of_one_round() -> None:
    ours = InputBound(5000, BoundClass.EMPIRICAL, audio_tokens=900, image_tokens=400, text_buckets=("input",))
    counted = bound_by_count(ours, 1000)
    assert (counted.tokens, counted.bound_class, counted.text_buckets) == (1020, BoundClass.EXACT, ("input",))
    assert (counted.audio_tokens, counted.image_tokens) == (1020, 0), "a count tells no sound from text"
    pictures = bound_by_count(InputBound(5000, BoundClass.EMPIRICAL, image_tokens=4), 1000)
    assert (pictures.audio_tokens, pictures.image_tokens) == (0, 1020)
    assert bound_by_count(ours, 49).tokens == 49
    for more in (
        InputBound(5000, BoundClass.EMPIRICAL, rounds=2),
        InputBound(5000, BoundClass.EMPIRICAL, extras=(("web_search", 1),)),
        InputBound(5000, BoundClass.EMPIRICAL, elsewhere=(Elsewhere("x", 1, 1),)),
    ):
        assert bound_by_count(more, 1000) == more
