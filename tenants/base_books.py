"""Base prices kept for good: what every price id on a ledger row stood for, whichever release put it there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from metering.base_prices import book_name, installed_providers
from metering.book_data import BookPrice, every_price
from metering.prices import make_price
from metering.rates import FREE, REGION_PERCENT, Price, regional
from tenants.models import BasePrice, PriceEntry

ROWS_PER_INSERT = 1_000


def document_of(price: Price) -> dict[str, Any]:
    """A price as it is kept: rates and tiers in nano-dollars per million tokens, extras per unit."""
    return {
        "rates": {bucket: rate.nanousd_per_mtok for bucket, rate in price.rates.items()},
        "tiers": {
            bucket: [list(step) for step in rate.tiers] for bucket, rate in price.rates.items() if rate.tiers
        },
        "extras_nanousd": dict(price.extras_nanousd),
        "per_request_nanousd": price.per_request_nanousd,
    }


def keep_prices(found: Iterable[BookPrice], book: str) -> int:
    """Keep what a book's price ids stand for; what is kept already never changes. Returns how many were new."""
    by_id = {each.price.price_id: each for each in found}
    known = set(BasePrice.objects.filter(book=book).values_list("pk", flat=True))
    rows = [_row(each, book) for price_id, each in sorted(by_id.items()) if price_id not in known]
    BasePrice.objects.bulk_create(rows, batch_size=ROWS_PER_INSERT, ignore_conflicts=True)
    return len(rows)


def keep_installed_book() -> int:
    """Keep every price of the installed book, so that its rows can be priced again after it is gone."""
    book = book_name()
    return keep_prices(every_price(installed_providers(), book).values(), book)


def kept_price(row: BasePrice) -> Price:
    """A kept base price as metering knows it."""
    return make_price(row.pk, (row.provider, row.model), **row.document)


def _row(each: BookPrice, book: str) -> BasePrice:
    price = each.price
    return BasePrice(
        price_id=price.price_id,
        book=book,
        provider=price.provider,
        model=price.model,
        service_tier=each.service_tier,
        document=document_of(price),
    )


class PriceShelf:
    """Prices by the ids that stand on ledger rows, each read once."""

    def __init__(self) -> None:
        self._prices: dict[str, Price | None] = {"": None, FREE.price_id: FREE}

    def fetch(self, price_ids: Collection[str]) -> None:
        """Read the prices of some ids that are not here yet, in one query for each kind."""
        wanted = {_listed(price_id)[0] for price_id in price_ids} - self._prices.keys()
        if not wanted:
            return
        self._prices |= dict.fromkeys(wanted)
        columns = ("pk", "provider", "model")
        terms = ("rates", "tiers", "extras_nanousd", "per_request_nanousd")
        for row in PriceEntry.objects.filter(pk__in=wanted).values(*columns, *terms):
            self._prices[row["pk"]] = _made(row, {name: row[name] for name in terms})
        for row in BasePrice.objects.filter(pk__in=wanted).values(*columns, "document"):
            self._prices[row["pk"]] = _made(row, row["document"])

    def find(self, price_id: str) -> Price | None:
        """Return a fetched price; None for an id that nobody kept."""
        found = self._prices.get(price_id)
        if found is not None or price_id in self._prices:
            return found
        listed, region = _listed(price_id)
        price = self._prices.get(listed)
        self._prices[price_id] = found = regional(price, region) if price else None
        return found


def _listed(price_id: str) -> tuple[str, str]:
    """Take a region off a price's id: the price as listed is what is kept."""
    listed, _, region = price_id.rpartition("+")
    return (listed, region) if region in REGION_PERCENT else (price_id, "")


def _made(row: dict[str, Any], terms: dict[str, Any]) -> Price:
    return make_price(row["pk"], (row["provider"], row["model"]), **terms)
