"""Price books as they stand in PostgreSQL: the installation's, and a tenant's on top of it."""

from __future__ import annotations

from typing import Any

from metering.prices import ImportedPrice, PriceBook, PriceEntry, make_price
from tenants.base_books import kept_price
from tenants.models import BasePriceEntry, Tenant
from tenants.models import PriceEntry as PriceRow
from tenants.projection import milliseconds


def imported_prices() -> list[ImportedPrice]:
    """Every base price that was ever imported, oldest first."""
    return [
        ImportedPrice(
            milliseconds(entry.from_at),
            kept_price(entry.price),
            tuple(entry.names),
            entry.price.service_tier,
        )
        for entry in BasePriceEntry.objects.select_related("price")
    ]


def base_book() -> PriceBook:
    """The base prices in force, without any tenant's own."""
    return PriceBook((), imported_prices())


def tenant_book(tenant: Tenant, mode: str) -> PriceBook:
    """The prices in force for a tenant in one mode."""
    own = [own_price(row) for row in PriceRow.objects.for_scope(tenant, mode).order_by("created_at")]
    return PriceBook(own, imported_prices())


def own_price(row: PriceRow) -> PriceEntry:
    """A tenant's own entry as metering knows it."""
    terms: dict[str, Any] = {
        name: getattr(row, name) for name in ("rates", "tiers", "extras_nanousd", "per_request_nanousd")
    }
    return PriceEntry(milliseconds(row.from_at), make_price(row.pk, (row.provider, row.model), **terms))
