"""Prices in force: a tenant's own dated entries on top of the base book."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from metering.base_prices import DEARER_TIERS, find_base
from metering.errors import MoneyError, UnpricedModel
from metering.rates import FALLBACKS, Price, Rate
from metering.usage import TOKEN_BUCKETS

__all__ = ["FALLBACKS", "Price", "PriceBook", "PriceEntry", "Rate", "make_price"]


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """A tenant's own price, in force from ``from_ms`` on until its next entry for the same model."""

    from_ms: int
    price: Price


class PriceBook:
    """The price in force for a provider's model at an instant: the tenant's entry first, else the base book's."""

    def __init__(self, entries: Sequence[PriceEntry] = ()) -> None:
        self._entries: dict[tuple[str, str], tuple[list[int], list[Price]]] = {}
        # Stable: of two entries from the same instant the later in the sequence holds.
        for entry in sorted(entries, key=lambda one: one.from_ms):
            starts_ms, prices = self._entries.setdefault((entry.price.provider, entry.price.model), ([], []))
            starts_ms.append(entry.from_ms)
            prices.append(entry.price)

    def find(self, provider: str, model: str, at_ms: int, *, service_tier: str = "") -> Price:
        """Return the price in force. Raises: UnpricedModel when neither book knows one.

        ``service_tier`` is the caller's, or at settlement the one the provider reports. A dearer tier of a model
        that a tenant priced itself needs an entry of its own, named ``<model>@<tier>``.
        """
        dearer = service_tier in DEARER_TIERS
        own = self._own(provider, f"{model}@{service_tier}" if dearer else model, at_ms)
        if own is not None:
            return own
        if dearer and self._own(provider, model, at_ms) is not None:
            raise UnpricedModel(provider, f"{model}@{service_tier}")
        base = find_base(provider, model, at_ms, service_tier)
        if base is None:
            raise UnpricedModel(provider, model)
        return base

    def _own(self, provider: str, model: str, at_ms: int) -> Price | None:
        dated = self._entries.get((provider, model))
        if dated is None:
            return None
        place = bisect_right(dated[0], at_ms)
        return dated[1][place - 1] if place else None


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
