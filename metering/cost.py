"""The exact cost of a usage at a price: the one engine behind quote and settlement."""

from __future__ import annotations

from metering.errors import UnpricedModel
from metering.money import NanoUsd, cost_from_mtok_sum
from metering.rates import Price
from metering.usage import Usage


def cost_of(usage: Usage, price: Price) -> NanoUsd:
    """Return what a usage costs, rounded up once.

    A bucket without a rate of its own falls back to the one it is a kind of (cache and audio and image input to
    input, reasoning and audio output to output). Raises: UnpricedModel for a counted extra without a price.
    """
    prompt_tokens = usage.all_input_tokens
    mtok_sum = 0
    for bucket, count in usage.tokens():
        if count:
            mtok_sum += count * price.rate_for(bucket).at(prompt_tokens)
    fees_nanousd = price.per_request_nanousd
    for name, count in usage.extras:
        fees_nanousd += count * extra_nanousd(price, name) if count else 0
    return NanoUsd(cost_from_mtok_sum(mtok_sum) + fees_nanousd)


def extra_nanousd(price: Price, name: str) -> int:
    """What one unit of a counted extra costs. Raises: UnpricedModel when the price does not say."""
    fee_nanousd = price.extras_nanousd.get(name)
    if fee_nanousd is None:
        raise UnpricedModel(price.provider, f"{price.model}:{name}")
    return fee_nanousd
