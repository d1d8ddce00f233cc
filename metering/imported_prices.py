"""Prices imported under review: dated entries that lie on the installed base book and under a tenant's own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from metering.base_prices import base_ids, base_name
from metering.providers import price_source
from metering.rates import DEARER_TIERS, Price


@dataclass(frozen=True, slots=True)
class ImportedPrice:
    """A base price in force from ``from_ms`` on, for one service tier (empty = standard).

    ``names`` are globs in lower case, the model's own id among them. An import that changes one tier of a model brings
    every tier of it.
    """

    from_ms: int
    price: Price
    names: tuple[str, ...] = ()
    service_tier: str = ""


class _Model:
    """One model's imported prices by tier, each in the order of their dates."""

    __slots__ = ("globs", "tiers")

    def __init__(self) -> None:
        self.globs: tuple[str, ...] = ()
        self.tiers: dict[str, tuple[list[int], list[Price]]] = {}

    def find(self, tier: str, at_ms: int) -> Price | None:
        """A tier's own price in force at an instant."""
        starts_ms, prices = self.tiers.get(tier, ([], []))
        place = bisect_right(starts_ms, at_ms)
        return prices[place - 1] if place else None

    def price(self, tier: str, at_ms: int) -> Price | None:
        """A tier's price; at or below standard without one of its own it is billed as the standard one."""
        found = self.find(tier, at_ms) if tier != "auto" else None
        return found if found is not None or tier in DEARER_TIERS else self.find("", at_ms)


class ImportedPrices:
    """Every imported price, found by provider and model as callers and providers spell it."""

    def __init__(self, entries: Sequence[ImportedPrice] = ()) -> None:
        self._models: dict[tuple[str, str], _Model] = {}
        self._globs: dict[str, list[_Model]] = {}
        for entry in sorted(entries, key=lambda one: one.from_ms):
            name = entry.price.provider, entry.price.model.lower()
            model = self._models.setdefault(name, _Model())
            model.globs = entry.names
            starts_ms, prices = model.tiers.setdefault(entry.service_tier, ([], []))
            starts_ms.append(entry.from_ms)
            prices.append(entry.price)
        for (provider, _), model in self._models.items():
            self._globs.setdefault(provider, []).append(model)

    def knows(self, provider: str, model: str, at_ms: int) -> bool:
        """Tell whether an imported price rules a model at an instant."""
        found = self._model(provider, model)
        return found is not None and found.find("", at_ms) is not None

    def find(self, provider: str, model: str, at_ms: int, service_tier: str = "") -> Price | None:
        """Return the imported price of a model's tier; None where there is none.

        A tier at or below standard without a price of its own is billed as the standard one, a dearer one never.
        """
        found = self._model(provider, model)
        return None if found is None else found.price(service_tier, at_ms)

    def find_by_id(
        self, provider: str, model_id: str, at_ms: int, service_tier: str = ""
    ) -> tuple[bool, Price | None]:
        """Tell whether an import rules a model by its own name in the book, and its tier's price.

        Units: ``at_ms`` since the epoch.
        """
        found = self._models.get((price_source(provider), model_id.lower()))
        if found is None or found.find("", at_ms) is None:
            return False, None
        return True, found.price(service_tier, at_ms)

    def names(self, provider: str) -> tuple[str, ...]:
        """Name the models of a provider that have imported prices, in lower case."""
        source = price_source(provider)
        return tuple(model for owner, model in self._models if owner == source)

    def _model(self, provider: str, model: str) -> _Model | None:
        source, name = price_source(provider), model.lower()
        if source not in self._globs:
            return None
        known_as = base_name(provider, model)
        if known_as is not None and (known_as.lower() == name or name in base_ids(provider)):
            # The installed book knows which model is meant, also where another one bears the name.
            return self._models.get((source, known_as.lower()))
        exact = self._models.get((source, name))
        if exact is not None or known_as is not None:
            # A wide glob of a new model must not take what is known; its very name may.
            return exact or self._models.get((source, str(known_as).lower()))
        for candidate in self._globs[source]:
            if any(fnmatchcase(name, glob) for glob in candidate.globs):
                return candidate
        return None
