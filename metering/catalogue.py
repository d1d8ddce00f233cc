"""Which models a provider serves now, as far as the base price book and the table of ceilings know."""

from __future__ import annotations

from functools import cache

from metering.free_models import free_models_of
from metering.limits import limits_for, measured_models
from metering.providers import price_source


@cache
def models_of(provider: str) -> tuple[str, ...]:
    """Name a provider's models by the price book's names, sorted; without a look at what they cost.

    The book keeps models that are gone, for old bills. The table of ceilings is read from the providers' own pages, so
    for a provider that it covers a model without a row there is taken as no longer served; elsewhere the book's own
    mark of what is deprecated decides.
    """
    measured = measured_models(provider)
    found: dict[str, str] = {}
    for name in (*_in_book(provider), *sorted(measured), *free_models_of(provider)):
        if not name.startswith("ft:"):  # a family of tuned models, each of which has a name of its own
            found.setdefault(name.casefold(), name)
    free = frozenset(free_models_of(provider))
    return tuple(
        sorted(name for name in found.values() if not measured or name in free or limits_for(name, provider))
    )


def _in_book(provider: str) -> list[str]:
    """The book's names of models that are not marked as deprecated."""
    # As in base_prices: slow to import, and most processes never list anything.
    from genai_prices.data import providers
    from genai_prices.data_snapshot import find_provider_by_id

    source = find_provider_by_id(providers, price_source(provider))
    models = source.models if source else []
    return [model.id for model in models if not model.deprecated]
