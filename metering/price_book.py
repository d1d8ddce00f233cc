"""How old the base price book is. It carries no date of its own, but the dates of the price changes it knows."""

from __future__ import annotations

from datetime import date


def latest_change(upto: date) -> date | None:
    """The newest price change in the book that has taken effect by a day; changes announced ahead do not count."""
    # Not at import: the data is a megabyte of literals, and most processes ask base_prices, which imports it anyway.
    from genai_prices.data import providers
    from genai_prices.types import StartDateConstraint

    changes = (
        dated.constraint.start_date
        for provider in providers
        for model in provider.models
        if isinstance(model.prices, list)
        for dated in model.prices
        if isinstance(dated.constraint, StartDateConstraint)
    )
    return max((change for change in changes if change <= upto), default=None)
