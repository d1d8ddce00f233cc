"""What a base book would change: model by model against the prices in force."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metering.base_prices import book_name, installed_providers, price_at
from metering.book_data import BookModel, BookPrice, every_price, models_of, read_book
from metering.imported_prices import ImportedPrice, ImportedPrices
from metering.rates import Price, Rate
from tenants.base_books import document_of, kept_price
from tenants.models import BasePrice

if TYPE_CHECKING:
    from genai_prices.types import Provider

PACKAGE = "genai-prices/"
FILE = f"{PACKAGE}file-"


@dataclass(frozen=True, slots=True)
class Book:
    """A base book by its name, the first part of its prices' ids."""

    name: str
    providers: Sequence[Provider]


@dataclass(frozen=True, slots=True)
class Change:
    """One model's tier under two books: its price in force (None = new) and the other book's (None = gone)."""

    provider: str
    model: str
    service_tier: str
    old: Price | None
    new: Price | None

    @property
    def figures(self) -> list[tuple[str, int | None, int | None]]:
        """What differs, by name: old and new in nano-dollars, per million tokens for buckets and their tiers."""
        old, new = _figures(self.old), _figures(self.new)
        names = [*old, *(name for name in new if name not in old)]
        return [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def installed_book() -> Book:
    """The book of the installed package."""
    return Book(book_name(), installed_providers())


def file_book(raw: bytes) -> Book:
    """A book from a file, named by its digest. Raises: BookUnreadable."""
    return Book(f"{FILE}{hashlib.sha256(raw).hexdigest()[:12]}", read_book(raw))


class InForce:
    """The base prices in force, by the book's own names: imports on top of the installed package."""

    def __init__(self, imported: Sequence[ImportedPrice]) -> None:
        self._imported = ImportedPrices(imported)
        self.models = {model.name: model for model in models_of(installed_providers())}

    def find(self, name: tuple[str, str], service_tier: str, at_ms: int) -> Price | None:
        """Return the price of a provider's model and tier; None where there is none."""
        rules, price = self._imported.find_by_id(*name, at_ms, service_tier)
        model = self.models.get(name)
        if rules or model is None:
            return price
        return price_at((model.source, model.info), name, at_ms, service_tier, book=book_name())


def changes(book: Book, in_force: InForce, at_ms: int) -> Iterator[Change]:
    """Every model and tier that costs something else under a book than what is in force at an instant.

    Models in force that the book lacks are told as gone: an import leaves them as they are.
    """
    told: set[tuple[str, str]] = set()
    for model in models_of(book.providers):
        told.add(model.name)
        for found in model.prices_at(at_ms, book.name):
            old = in_force.find(model.name, found.service_tier, at_ms)
            if not _is_same(old, found.price):
                yield Change(*model.name, found.service_tier, old, found.price)
    for name in in_force.models:
        if name not in told and (old := in_force.find(name, "", at_ms)) is not None:
            yield Change(*name, "", old, None)


def to_import(book: Book, in_force: InForce, at_ms: int) -> Iterator[tuple[BookModel, list[BookPrice]]]:
    """Each model that an import from an instant on would change, then or later, with all its prices from then on.

    Left out are those whose price changes with the time of day.
    """
    for model in models_of(book.providers):
        if model.by_the_hour:
            continue
        found = model.prices_from(at_ms, book.name)
        for each in found:
            if not _is_same(in_force.find(model.name, each.service_tier, each.from_ms), each.price):
                yield model, found
                break


def _is_same(old: Price | None, new: Price) -> bool:
    return old is not None and document_of(old) == document_of(new)


def upgrade_changes() -> Iterator[Change]:
    """What the installed package changed since the one that ran here before it; nothing at a first installation."""
    kept = BasePrice.objects.filter(book__startswith=PACKAGE).exclude(book__startswith=FILE)
    last = kept.exclude(book=book_name()).order_by("-first_seen_at").first()
    if last is None:
        return
    before = {
        row.price_id.removeprefix(last.book): row for row in kept.filter(book=last.book).order_by("price_id")
    }
    now = every_price(installed_providers(), book_name())
    for price_id, each in sorted(now.items()):
        if not price_id.startswith(book_name()):
            continue  # a price that carries its own date, whatever the package
        row = before.get(price_id.removeprefix(book_name()))
        if row is None:
            yield Change(each.price.provider, each.price.model, each.service_tier, None, each.price)
        elif row.document != document_of(each.price):
            yield Change(row.provider, row.model, row.service_tier, kept_price(row), each.price)


def _figures(price: Price | None) -> dict[str, int]:
    if price is None:
        return {}
    found: dict[str, int] = {}
    for bucket, rate in price.rates.items():
        found |= _steps(bucket, rate)
    if price.per_request_nanousd:
        found["per request"] = price.per_request_nanousd
    return found | {f"each {name}": nanousd for name, nanousd in price.extras_nanousd.items()}


def _steps(bucket: str, rate: Rate) -> dict[str, int]:
    return {bucket: rate.nanousd_per_mtok} | {
        f"{bucket} above {above}": dearer for above, dearer in rate.tiers
    }
