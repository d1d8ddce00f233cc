"""The most a request can cost, and the least it costs once sent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from metering.cost import extra_nanousd
from metering.errors import RequestShapeError, UnpricedModel
from metering.money import (
    BASIS_POINTS,
    LIMIT_NANOUSD_MAX,
    TOKENS_PER_MTOK,
    NanoUsd,
    ceil_div,
    charge_for,
    cost_from_mtok_sum,
    format_usd,
)
from metering.rates import IMAGE_OUTPUT, Price

# The buckets that a provider may report a prompt's text in.
TEXT_BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h")


class BoundClass(StrEnum):
    """How far an input bound can be trusted; only ``empirical`` can be overrun."""

    EXACT = "exact"
    HARD = "hard"
    EMPIRICAL = "empirical"


class Elsewhere(msgspec.Struct, frozen=True):
    """The most that another model, or another sampling, may be billed for within the call, in tokens."""

    model: str
    input_tokens: int
    output_tokens: int


class InputBound(msgspec.Struct, frozen=True):
    """At most this many prompt tokens, split where parts have prices of their own."""

    tokens: int  # all of the prompt, media included
    bound_class: BoundClass
    audio_tokens: int = 0  # of these
    image_tokens: int = 0  # of these
    # Where the text may be reported: a dialect leaves out what its request cannot cause.
    text_buckets: tuple[str, ...] = TEXT_BUCKETS
    # How often the model may answer within the call (server tools): each round may use the whole output cap.
    rounds: int = 1
    # The most of each counted extra that it may be billed for: web searches and their like, by name.
    extras: tuple[tuple[str, int], ...] = ()
    # Other models that work on the call, each with a price of its own: an advisor, a summary.
    elsewhere: tuple[Elsewhere, ...] = ()


# By so much a provider's own count is raised, rounded down: Anthropic calls its counts estimates that may differ by a
# small amount. Source: "Token counting", read 2026-11-21; all recorded pairs (6 of Anthropic's, one of Gemini's, one of
# OpenAI's) are equal to the token, so that a short prompt needs none.
COUNTED_SLACK_PERCENT = 2


def with_slack(counted_tokens: int) -> int:
    """Raise a provider's own count of a prompt by what it may be below the bill."""
    return counted_tokens + counted_tokens * COUNTED_SLACK_PERCENT // 100


def bound_by_count(bound: InputBound, counted_tokens: int) -> InputBound:
    """Put a provider's own count in the place of our bound; of several rounds it would know only the first."""
    if bound.rounds > 1 or bound.extras or bound.elsewhere:
        return bound
    tokens = with_slack(counted_tokens)
    # A count does not tell sound and pictures from text, and what told them to us may have been untrue.
    audio_tokens = tokens if bound.audio_tokens else 0
    return msgspec.structs.replace(
        bound,
        tokens=tokens,
        bound_class=BoundClass.EXACT,
        audio_tokens=audio_tokens,
        image_tokens=tokens - audio_tokens if bound.image_tokens else 0,
    )


class OutputCap(msgspec.Struct, frozen=True):
    """The output cap sent upstream, per choice, and what may be done to it."""

    tokens: int
    choices: int  # ``n``
    minimum_tokens: int  # the least a cut answer is useful for; equal to ``tokens`` where it must not be cut
    source: str  # caller | default
    may_clamp: bool  # false for schemas, forced tools, reasoning models without a stated minimum
    audio: bool = False  # sound was asked for, so output may be billed as audio


class Amounts(msgspec.Struct, frozen=True):
    """One measure of a quote, nano-dollars. ``at(cap)`` is never below the exact quote of a smaller cap."""

    least: NanoUsd  # input alone
    at_cap: NanoUsd  # the whole quote
    per_output_token: int  # one more token of cap, times choices, rounded up
    at_minimum: NanoUsd  # least + the smallest cap that makes sense

    def at(self, cap_tokens: int) -> NanoUsd:
        """What a hold for this cap must be: the same line that the reserve script draws."""
        return NanoUsd(min(self.at_cap, self.least + cap_tokens * self.per_output_token))


class Quote(msgspec.Struct, frozen=True):
    """A request's worst case, in both measures."""

    bound: InputBound
    cap: OutputCap
    price_id: str
    cost: Amounts
    charge: Amounts


def quote_for(
    bound: InputBound,
    cap: OutputCap,
    price: Price,
    *,
    markup_bp: int = 0,
    markup_fixed_nanousd: int = 0,
    elsewhere: Mapping[str, Price] = MappingProxyType({}),
) -> Quote:
    """Price a bound and a cap at the dearest rate that can apply (cache write, long context, reasoning ...).

    ``elsewhere`` has the price of each model that the bound names there. Raises: UnpricedModel where the price has no
    rate for what the request may be billed as; RequestShapeError where it comes to more than any budget may hold,
    beyond which Redis's numbers are no longer exact.
    """
    # A sampling of its own may be reported in one sum with the others: the sum decides the tier.
    reach_tokens = bound.tokens + sum(one.input_tokens for one in bound.elsewhere)
    input_mtok_sum = _input_mtok_sum(bound, price, reach_tokens)
    output_rate = _output_rate(cap, price, reach_tokens)
    output_mtok = cap.choices * bound.rounds * output_rate
    fees_nanousd = price.per_request_nanousd + _fees_nanousd(bound, price)
    for one in bound.elsewhere:
        fees_nanousd += _elsewhere_nanousd(one, elsewhere.get(one.model), price.provider, reach_tokens)
    least = NanoUsd(cost_from_mtok_sum(input_mtok_sum) + fees_nanousd)
    at_cap = NanoUsd(cost_from_mtok_sum(input_mtok_sum + cap.tokens * output_mtok) + fees_nanousd)
    per_token = ceil_div(output_mtok, TOKENS_PER_MTOK)
    cost = Amounts(least, at_cap, per_token, _at_minimum(cap, least, at_cap, per_token))
    charge = _charge(cost, cap, markup_bp, markup_fixed_nanousd)
    if max(cost.at_cap, charge.at_cap) > LIMIT_NANOUSD_MAX:
        raise RequestShapeError(
            f"this may cost ${format_usd(max(cost.at_cap, charge.at_cap))}, more than any budget can hold: ask for "
            "less output"
        )
    return Quote(bound, cap, price.price_id, cost, charge)


def _charge(cost: Amounts, cap: OutputCap, markup_bp: int, markup_fixed_nanousd: int) -> Amounts:
    """The same quote as the customer is billed for it; the fixed part is due as soon as anything is."""
    if cost.at_cap == 0:
        return cost
    fixed_nanousd = 0 if cost.least else markup_fixed_nanousd
    least = NanoUsd(charge_for(cost.least, markup_bp, markup_fixed_nanousd) + fixed_nanousd)
    at_cap = charge_for(cost.at_cap, markup_bp, markup_fixed_nanousd)
    per_token = ceil_div(cost.per_output_token * (BASIS_POINTS + markup_bp), BASIS_POINTS)
    return Amounts(least, at_cap, per_token, _at_minimum(cap, least, at_cap, per_token))


def _at_minimum(cap: OutputCap, least: int, at_cap: int, per_token: int) -> NanoUsd:
    # Rounded up per token, a shorter cap can come out above the whole; then the whole is what must fit.
    if cap.minimum_tokens >= cap.tokens:
        return NanoUsd(at_cap)
    return NanoUsd(min(at_cap, least + cap.minimum_tokens * per_token))


def _input_mtok_sum(bound: InputBound, price: Price, reach_tokens: int) -> int:
    text_rate = _dearest(price, bound.text_buckets, reach_tokens)
    mtok_sum = (bound.tokens - bound.audio_tokens - bound.image_tokens) * text_rate
    if bound.audio_tokens:
        # Sound is many times dearer than text: without a price of its own it has none.
        mtok_sum += bound.audio_tokens * max(text_rate, _own_rate(price, "audio_input", reach_tokens))
    if bound.image_tokens:
        mtok_sum += bound.image_tokens * max(text_rate, price.rate_for("image_input").dearest(reach_tokens))
    return mtok_sum


def _fees_nanousd(bound: InputBound, price: Price) -> int:
    return sum(count * extra_nanousd(price, name) for name, count in bound.extras if count)


def _elsewhere_nanousd(used: Elsewhere, price: Price | None, provider: str, reach_tokens: int) -> int:
    if price is None:
        raise UnpricedModel(provider, used.model)
    text_rate = _dearest(price, TEXT_BUCKETS, reach_tokens)
    output_rate = _dearest(price, ("output", "reasoning"), reach_tokens)
    return cost_from_mtok_sum(used.input_tokens * text_rate + used.output_tokens * output_rate)


def _dearest(price: Price, buckets: tuple[str, ...], prompt_tokens_max: int) -> int:
    return max(price.rate_for(bucket).dearest(prompt_tokens_max) for bucket in buckets)


def _output_rate(cap: OutputCap, price: Price, reach_tokens: int) -> int:
    if cap.tokens == 0:
        return 0
    rate = _dearest(price, ("output", "reasoning"), reach_tokens)
    # Nobody knows before the call how much of an answer will be pictures.
    rate = max(rate, price.extras_nanousd.get(IMAGE_OUTPUT, 0) * TOKENS_PER_MTOK)
    return max(rate, _own_rate(price, "audio_output", reach_tokens)) if cap.audio else rate


def _own_rate(price: Price, bucket: str, prompt_tokens_max: int) -> int:
    rate = price.rates.get(bucket)
    if rate is None:
        raise UnpricedModel(price.provider, f"{price.model}:{bucket}")
    return rate.dearest(prompt_tokens_max)
