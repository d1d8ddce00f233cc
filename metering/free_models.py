"""Models that their provider bills nothing for, by name: a price of zero that was published, never a gap in data."""

from __future__ import annotations

from metering.rates import Price, Rate

# Source: OpenAI's pricing page and its guide "Moderation": all moderation models are free, read to 2026-11. Each by its
# full name, so that a new one is unpriced until somebody has looked. There is no rate for output: on a route
# that makes any they have no price.
_FREE = {
    "openai": (
        "omni-moderation-latest",
        "omni-moderation-2024-09-26",
        "text-moderation-latest",
        "text-moderation-stable",
        "text-moderation-007",
    )
}
_SOURCE = "OpenAI's pricing page, 2026-11: moderation is free of charge"


def free_models_of(provider: str) -> tuple[str, ...]:
    """Name the models that a provider bills nothing for."""
    return _FREE.get(provider, ())


def free_price(provider: str, model: str) -> Price | None:
    """Return the price of zero of a model that is known to be free; None for any other."""
    if model not in free_models_of(provider):
        return None
    return Price(
        f"farebox/free/{provider}/{model}/2026-11", provider, model, {"input": Rate(0)}, source=_SOURCE
    )
