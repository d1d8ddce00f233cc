"""The exact cost of a usage at a price: the one engine behind quote and settlement."""

from __future__ import annotations

from metering.money import NanoUsd
from metering.prices import Price
from metering.usage import Usage


def cost_of(usage: Usage, price: Price) -> NanoUsd:
    """Return what a usage costs, rounded up once.

    A bucket without a rate of its own falls back to the one it is a kind of (cache and audio and image input to
    input, reasoning and audio output to output). Raises: UnpricedModel for a counted extra without a price.
    """
    raise NotImplementedError
