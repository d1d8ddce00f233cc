"""A reviewed base book brought in: dated entries for the whole installation; the past keeps its rate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from metering.providers import price_source
from tenants.actions.recording import Actor, Trail
from tenants.actions.tenants import lock_settings, touch_policy
from tenants.base_books import keep_installed_book, keep_prices
from tenants.errors import InvalidInput
from tenants.models import BasePriceEntry, ProviderAccount, Tenant
from tenants.pricing.books import imported_prices
from tenants.pricing.review import Book, InForce, to_import
from tenants.projection import milliseconds

CLOCK_SKEW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Imported:
    """How many models an import changed, by how many entries, and the outbox entries that put them in force."""

    models: int
    prices: int
    entries: tuple[int, ...]


@transaction.atomic
def import_base_prices(*, book: Book, from_at: datetime, actor: Actor) -> Imported:
    """Put a book's prices in force from an instant on, where they differ; tenants' own prices stay above them.

    Raises: InvalidInput for an instant that has passed.
    """
    if from_at < timezone.now() - CLOCK_SKEW:
        raise InvalidInput("from", f"from {from_at.isoformat()} has passed; a price cannot change the past")
    keep_installed_book()
    found = list(to_import(book, InForce(imported_prices()), milliseconds(from_at)))
    keep_prices((each for _, prices in found for each in prices), book.name)
    entries = [
        BasePriceEntry(price_id=each.price.price_id, names=list(model.names), from_at=_instant(each.from_ms))
        for model, prices in found
        for each in prices
    ]
    BasePriceEntry.objects.bulk_create(entries, batch_size=1_000)
    told = {"book": book.name, "from": from_at.isoformat(), "models": len(found)}
    touched = _touch({model.name[0] for model, _ in found}, actor, told)
    return Imported(len(found), len(entries), touched)


def _touch(sources: set[str], actor: Actor, told: dict[str, object]) -> tuple[int, ...]:
    """Give every tenant that is served by one of some providers a new policy."""
    accounts = ProviderAccount.objects.values_list("tenant_id", "mode", "provider").distinct()
    scopes = sorted(
        {(tenant_id, mode) for tenant_id, mode, name in accounts if price_source(name) in sources}
    )
    tenants = Tenant.objects.in_bulk({tenant_id for tenant_id, _ in scopes})
    touched: list[int] = []
    for tenant_id, mode in scopes:
        settings = lock_settings(tenants[tenant_id], mode)
        trail = Trail(tenants[tenant_id], mode, actor)
        trail.audit("base_prices.import", settings, after=told)
        touch_policy(settings, trail)
        touched += trail.entries
    return tuple(touched)


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(0, tz=timezone.get_default_timezone()) + timedelta(milliseconds=at_ms)
