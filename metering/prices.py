"""Prices in force: a tenant's own dated entries, then imported ones, then the base book."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from metering.base_prices import base_ids, base_name, find_base, meant_by, moves
from metering.errors import MoneyError, UnpricedModel
from metering.imported_prices import ImportedPrice, ImportedPrices
from metering.rates import DEARER_TIERS, FALLBACKS, Price, Rate, dearest_of, regional, split_tier
from metering.usage import TOKEN_BUCKETS

__all__ = ["FALLBACKS", "ImportedPrice", "Price", "PriceBook", "PriceEntry", "Rate", "make_price"]

# What providers put behind a model's name for one version of it.
_VERSION = re.compile(r"[-@:](?:latest|\d{3,8}(?:-\d{2}){0,2})")


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """A tenant's own price, in force from ``from_ms`` on until its next entry for the same model."""

    from_ms: int
    price: Price


class PriceBook:
    """The price in force for a provider's model at an instant: the tenant's entry first, else the base book's."""

    def __init__(self, entries: Sequence[PriceEntry] = (), imported: Sequence[ImportedPrice] = ()) -> None:
        self._imported = ImportedPrices(imported)
        self._entries: dict[tuple[str, str], tuple[list[int], list[Price]]] = {}
        # Stable: of two entries from the same instant the later in the sequence holds.
        for entry in sorted(entries, key=lambda one: one.from_ms):
            starts_ms, prices = self._entries.setdefault((entry.price.provider, entry.price.model), ([], []))
            starts_ms.append(entry.from_ms)
            prices.append(entry.price)

    def find(self, provider: str, model: str, at_ms: int, *, service_tier: str = "") -> Price:
        """Return the price in force. Raises: UnpricedModel when neither book knows one.

        ``service_tier`` is the caller's, or at settlement the one the provider reports. A dearer tier of a model
        that a tenant priced itself needs an entry of its own, named ``<model>@<tier>``; a region (``us``, ``fast-us``)
        is a share on top of whichever price rules.
        """
        service_tier, region = split_tier(service_tier)
        return regional(self._find(provider, model, at_ms, service_tier), region)

    def find_quoted(self, provider: str, model: str, at_ms: int, *, service_tier: str = "") -> Price:
        """Return the price to quote at: of a name that moves (``…-latest``) the dearest of all that may answer to it.

        It bears the id of the price that the name itself has in the book, by which a call is booked whose answer does
        not say which model it was. Raises: UnpricedModel.
        """
        price = self.find(provider, model, at_ms, service_tier=service_tier)
        if not moves(model):
            return price
        others = []
        for known in meant_by(model, {*base_ids(provider), *self._imported.names(provider)}):
            try:
                others.append(self.find(provider, known, at_ms, service_tier=service_tier))
            except UnpricedModel:
                continue  # then what it bills is booked by the name that was asked for
        return dearest_of(price, others)

    def _find(self, provider: str, model: str, at_ms: int, service_tier: str) -> Price:
        dearer = service_tier in DEARER_TIERS
        own = self._own(provider, f"{model}@{service_tier}" if dearer else model, at_ms)
        if own is not None:
            return own
        if dearer and self._own(provider, model, at_ms) is not None:
            raise UnpricedModel(provider, f"{model}@{service_tier}")
        base = self._base(provider, model, at_ms, service_tier)
        if base is None:
            raise UnpricedModel(provider, model)
        return base

    def find_answered(
        self, provider: str, asked: str, answered: str, at_ms: int, *, service_tier: str = ""
    ) -> Price:
        """Return the price of the model that answered, else of the one that was asked for.

        A tenant's price of the model asked for rules for all versions of that model, and where the asked name is the
        tenant's own (a deployment, an alias): only the tenant knows what stands behind it. Raises: UnpricedModel.
        """
        if answered and answered != asked and not self._is_ruled_by(provider, asked, answered, at_ms):
            try:
                return self.find(provider, answered, at_ms, service_tier=service_tier)
            except UnpricedModel:
                pass  # what was quoted is the best that is known
        return self.find(provider, asked, at_ms, service_tier=service_tier)

    def _is_ruled_by(self, provider: str, asked: str, answered: str, at_ms: int) -> bool:
        """Tell whether the tenant's own price of the model asked for covers the model that answered."""
        if self._own(provider, asked, at_ms) is None or self._own(provider, answered, at_ms) is not None:
            return False
        known_as = base_name(provider, asked)
        is_alias = known_as is None and not self._imported.knows(provider, asked, at_ms)
        return is_alias or _is_version(asked, answered) or known_as == base_name(provider, answered)

    def _base(self, provider: str, model: str, at_ms: int, service_tier: str) -> Price | None:
        if self._imported.knows(provider, model, at_ms):
            return self._imported.find(provider, model, at_ms, service_tier)
        return find_base(provider, model, at_ms, service_tier)

    def _own(self, provider: str, model: str, at_ms: int) -> Price | None:
        dated = self._entries.get((provider, model))
        if dated is None:
            return None
        place = bisect_right(dated[0], at_ms)
        return dated[1][place - 1] if place else None


def _is_version(one: str, other: str) -> bool:
    """Tell whether two names are one model's, with and without its version."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and _VERSION.fullmatch(long, len(short)) is not None


def make_price(
    price_id: str,
    name: tuple[str, str],
    *,
    rates: Mapping[str, int],
    tiers: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    extras_nanousd: Mapping[str, int] | None = None,
    per_request_nanousd: int = 0,
) -> Price:
    """Build a tenant's price for ``(provider, model)`` from plain values, checked.

    Units: ``rates`` and the second of each tier in nano-dollars per million tokens. Raises: MoneyError for an
    unknown bucket, a negative amount, a missing input rate or tiers out of order.
    """
    provider, model = name
    tiers, extras_nanousd = tiers or {}, extras_nanousd or {}
    _check(f"{provider}/{model}", rates, tiers)
    amounts = [*rates.values(), *extras_nanousd.values(), per_request_nanousd]
    amounts += [rate for steps in tiers.values() for _, rate in steps]
    if min(amounts) < 0:
        raise MoneyError(f"the price of {provider}/{model} has a negative amount: {min(amounts)}")
    return Price(
        price_id=price_id,
        provider=provider,
        model=model,
        rates={
            bucket: Rate(rate, tuple((above, dear) for above, dear in tiers.get(bucket, ())))
            for bucket, rate in rates.items()
        },
        extras_nanousd=dict(extras_nanousd),
        per_request_nanousd=per_request_nanousd,
        source="tenant",
    )


def _check(name: str, rates: Mapping[str, int], tiers: Mapping[str, Sequence[tuple[int, int]]]) -> None:
    unknown = (rates.keys() | tiers.keys()) - set(TOKEN_BUCKETS)
    if unknown:
        raise MoneyError(f"the price of {name} names unknown buckets: {', '.join(sorted(unknown))}")
    if "input" not in rates or not tiers.keys() <= rates.keys():
        raise MoneyError(
            f"the price of {name} needs an input rate, and a base rate for each bucket with tiers"
        )
    for bucket, steps in tiers.items():
        if any(low >= high for (low, _), (high, _) in pairwise(steps)):
            raise MoneyError(f"the tiers of {name} {bucket} are not in ascending order")
