"""The exact cost of a usage at a price: the one engine behind quote and settlement."""

from __future__ import annotations

import msgspec

from metering.errors import UnpricedModel
from metering.money import NanoUsd, cost_from_mtok_sum
from metering.rates import IMAGE_OUTPUT, Price
from metering.usage import Usage


def cost_of(usage: Usage, price: Price) -> NanoUsd:
    """Return what a usage costs, rounded up once.

    A bucket without a rate of its own falls back to the one it is a kind of (cache and audio and image input to
    input, reasoning, audio output and pictures to output). Raises: UnpricedModel for a counted extra without a price.
    """
    prompt_tokens = usage.all_input_tokens
    mtok_sum = 0
    for bucket, count in usage.tokens():
        if count:
            mtok_sum += count * price.rate_for(bucket).at(prompt_tokens)
    fees_nanousd = price.per_request_nanousd
    for name, count in usage.extras:
        if name == IMAGE_OUTPUT and name not in price.extras_nanousd:
            mtok_sum += count * price.rate_for("output").at(prompt_tokens)
        else:
            fees_nanousd += count * extra_nanousd(price, name) if count else 0
    return NanoUsd(cost_from_mtok_sum(mtok_sum) + fees_nanousd)


def all_pictures(usage: Usage, price: Price) -> Usage:
    """Take a whole output for pictures, where its price knows them and its report does not tell them from text."""
    if IMAGE_OUTPUT not in price.extras_nanousd or IMAGE_OUTPUT in dict(usage.extras):
        return usage
    extras = (*usage.extras, (IMAGE_OUTPUT, usage.output_tokens))
    return msgspec.structs.replace(usage, output_tokens=0, extras=extras)


def extra_nanousd(price: Price, name: str) -> int:
    """What one unit of a counted extra costs. Raises: UnpricedModel when the price does not say."""
    fee_nanousd = price.extras_nanousd.get(name)
    if fee_nanousd is None:
        raise UnpricedModel(price.provider, f"{price.model}:{name}")
    return fee_nanousd
