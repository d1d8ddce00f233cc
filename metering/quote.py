"""The most a request can cost, and the least it costs once sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from metering.money import NanoUsd
from metering.prices import Price


class BoundClass(StrEnum):
    """How far an input bound can be trusted; only ``empirical`` can be overrun."""

    EXACT = "exact"
    HARD = "hard"
    EMPIRICAL = "empirical"


@dataclass(frozen=True, slots=True)
class InputBound:
    """At most this many prompt tokens, split where parts have prices of their own."""

    tokens: int  # all of the prompt, media included
    bound_class: BoundClass
    audio_tokens: int = 0  # of these
    image_tokens: int = 0  # of these


@dataclass(frozen=True, slots=True)
class OutputCap:
    """The output cap sent upstream, per choice, and what may be done to it."""

    tokens: int
    choices: int  # ``n``
    minimum_tokens: int  # the least a cut answer is useful for; equal to ``tokens`` where it must not be cut
    source: str  # caller | default
    may_clamp: bool  # false for schemas, forced tools, reasoning models without a stated minimum


@dataclass(frozen=True, slots=True)
class Amounts:
    """One measure of a quote, nano-dollars. ``at(cap)`` is never below the exact quote of a smaller cap."""

    least: NanoUsd  # input alone
    at_cap: NanoUsd  # the whole quote
    per_output_token: int  # one more token of cap, times choices, rounded up
    at_minimum: NanoUsd  # least + the smallest cap that makes sense


@dataclass(frozen=True, slots=True)
class Quote:
    """A request's worst case, in both measures."""

    bound: InputBound
    cap: OutputCap
    price_id: str
    cost: Amounts
    charge: Amounts


def quote_for(
    bound: InputBound, cap: OutputCap, price: Price, *, markup_bp: int = 0, markup_fixed_nanousd: int = 0
) -> Quote:
    """Price a bound and a cap at the dearest rate that can apply (cache write, long context, reasoning ...)."""
    raise NotImplementedError
