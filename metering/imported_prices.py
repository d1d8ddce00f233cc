"""Prices imported under review: dated entries that lie on the installed base book and under a tenant's own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from metering.base_prices import DEARER_TIERS, base_name
from metering.rates import Price


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
        starts_ms, prices = self.tiers.get(tier, ([], []))
        place = bisect_right(starts_ms, at_ms)
        return prices[place - 1] if place else None


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
        if found is None:
            return None
        price = found.find(service_tier, at_ms) if service_tier != "auto" else None
        if price is None and service_tier not in DEARER_TIERS:
            price = found.find("", at_ms)
        return price

    def _model(self, provider: str, model: str) -> _Model | None:
        if provider not in self._globs:
            return None
        name = model.lower()
        exact = self._models.get((provider, name))
        if exact is not None:
            return exact
        known_as = base_name(provider, model)
        if known_as is not None:
            # The installed book knows which model this is: a wide glob of another one must not take it.
            return self._models.get((provider, known_as.lower()))
        for candidate in self._globs[provider]:
            if any(fnmatchcase(name, glob) for glob in candidate.globs):
                return candidate
        return None
