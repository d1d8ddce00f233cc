"""A base book as data: read from a file of genai-prices' own format, and every price that its ids can ever name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metering.base_prices import edges_ms, price_at
from metering.errors import BookUnreadable
from metering.free_models import free_models_of, free_price
from metering.rates import DEARER_TIERS, STANDARD_TIERS, Price

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

_TIERS = (STANDARD_TIERS | DEARER_TIERS) - {"", "auto"}
_WILD = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})


@dataclass(frozen=True, slots=True)
class BookPrice:
    """One price of a book, by service tier (empty = standard), in force from an instant on."""

    price: Price
    service_tier: str
    from_ms: int


@dataclass(frozen=True, slots=True)
class BookModel:
    """One model of a book: how it is spelt, and whether its price changes with the time of day."""

    source: Provider
    info: ModelInfo

    @property
    def name(self) -> tuple[str, str]:
        """Provider and model as the book calls them."""
        return self.source.id, self.info.id

    @property
    def by_the_hour(self) -> bool:
        """Whether its price changes with the time of day."""
        from genai_prices.types import TimeOfDateConstraint

        dated = self.info.prices if isinstance(self.info.prices, list) else ()
        return any(isinstance(one.constraint, TimeOfDateConstraint) for one in dated)

    @property
    def names(self) -> tuple[str, ...]:
        """Globs in lower case for its names, its id first; what only a regular expression says is left out."""
        return tuple(dict.fromkeys((self.info.id.lower().translate(_WILD), *_globs(self.info.match))))

    @property
    def tiers(self) -> tuple[str, ...]:
        """The service tiers it has prices of its own for, the standard one first."""
        told = {word for variant in self.info.price_variants or () for word in variant.when.values()}
        return ("", *sorted(_TIERS & told))

    def prices_at(self, at_ms: int, book: str) -> list[BookPrice]:
        """What it costs at an instant, by tier; nothing where no bucket of ours counts what it is billed by.

        A tier that is billed as the standard one is left out.
        """
        found: dict[str, BookPrice] = {}
        for tier in self.tiers:
            price = price_at((self.source, self.info), self.name, at_ms, tier, book=book)
            if price is not None:
                found.setdefault(price.price_id, BookPrice(price, tier, at_ms))
        return list(found.values())

    def prices_from(self, at_ms: int, book: str) -> list[BookPrice]:
        """What it costs from an instant on, with every change the book announces."""
        starts = {at_ms, *(edge for edge in edges_ms(self.info, at_ms) if edge > at_ms)}
        return [found for start in sorted(starts) for found in self.prices_at(start, book)]


def read_book(raw: bytes) -> list[Provider]:
    """Read a book from genai-prices' exported JSON. Raises: BookUnreadable."""
    from genai_prices.types import _providers_from_raw

    try:
        providers = _providers_from_raw(json.loads(raw))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BookUnreadable(f"this is no price data of genai-prices: {error}") from error
    if not any(provider.models for provider in providers):
        raise BookUnreadable("the price data names no model")
    return providers


def models_of(providers: Sequence[Provider]) -> Iterator[BookModel]:
    """Every model of a book, under each provider that sells it at its maker's price as well."""
    by_id = {provider.id: provider for provider in providers}
    for provider in providers:
        own = {info.id for info in provider.models}
        for info in provider.models:
            yield BookModel(provider, info)
        for other in provider.fallback_model_providers or ():
            for info in by_id[other].models if other in by_id else ():
                if info.id not in own:
                    own.add(info.id)
                    yield BookModel(provider, info)


def every_price(providers: Sequence[Provider], book: str) -> dict[str, BookPrice]:
    """Every price by its id that a book can put on a row: all dates, hours and tiers of all models."""
    found: dict[str, BookPrice] = {}
    for model in models_of(providers):
        dates_ms = {0, *edges_ms(model.info, 0)}
        # The hours of each date: what holds at a date's midnight may hide what holds for the rest of it.
        for at_ms in sorted(dates_ms.union(*(edges_ms(model.info, date_ms) for date_ms in dates_ms))):
            for each in model.prices_at(at_ms, book):
                found.setdefault(each.price.price_id, each)
    for provider in providers:
        for name in free_models_of(provider.id):
            free = free_price(provider.id, name)
            assert free is not None
            found[free.price_id] = BookPrice(free, "", 0)
    return found


def _globs(match: object) -> Iterator[str]:
    if (clauses := getattr(match, "or_", None)) is not None:
        for clause in clauses:
            yield from _globs(clause)
    for clause, before, after in (
        ("equals", "", ""), ("starts_with", "", "*"), ("ends_with", "*", ""), ("contains", "*", "*"),
    ):  # fmt: skip
        if (text := getattr(match, clause, None)) is not None:
            yield f"{before}{text.lower().translate(_WILD)}{after}"
