"""Whose margin a change of base prices turns: what customers are charged against what calls would cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from metering.base_prices import base_name
from metering.errors import UnpricedModel
from metering.money import BASIS_POINTS, ceil_div
from metering.providers import price_source
from metering.rates import Price
from tenants.models import Customer, PriceEntry, ProviderAccount, TenantSettings
from tenants.pricing.books import own_price
from tenants.pricing.review import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Somebody charged less than a model would cost, per million tokens of one bucket; fixed parts left aside."""

    tenant: str
    mode: str
    customer: str  # empty = every customer without a markup of its own
    change: Change
    bucket: str
    charge_nanousd: int
    cost_nanousd: int
    is_new: bool  # it covered the old price


def losses(changes: Iterable[Change], at: datetime) -> Iterator[Loss]:
    """Everybody whose charge for a model would lie below its new price, by the markup and own prices in force."""
    by_provider: defaultdict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.new is not None and not change.service_tier:
            by_provider[change.provider].append(change)
    for settings in TenantSettings.objects.select_related("tenant").order_by("tenant_id", "mode"):
        accounts = ProviderAccount.objects.for_scope(settings.tenant, settings.mode)
        served = {
            price_source(name) for name in accounts.filter(state="active").values_list("provider", flat=True)
        }
        concerned = [change for provider in sorted(served) for change in by_provider[provider]]
        if concerned:
            yield from _losses_of(settings, concerned, at)


def _losses_of(settings: TenantSettings, concerned: list[Change], at: datetime) -> Iterator[Loss]:
    own = _own_prices(settings, at)
    markups = [("", settings), *((row.external_id, row) for row in _customers_with_markup(settings))]
    for change in concerned:
        billed = own.get((change.provider, change.model))
        for customer, row in markups:
            markup_bp = _markup_bp(settings, row, change.model)
            if billed is None and markup_bp >= 0:
                continue  # charged from the very price it costs
            yield from _below(change, billed, markup_bp, (settings, customer))


def _below(
    change: Change, billed: Price | None, markup_bp: int, whose: tuple[TenantSettings, str]
) -> Iterator[Loss]:
    settings, customer = whose
    assert change.new is not None
    for bucket, rate in change.new.rates.items():
        cost = rate.nanousd_per_mtok
        charge = _charged(billed or change.new, bucket, markup_bp)
        if charge is None or charge >= cost:
            continue
        before = _charged(change.old, bucket, 0) if change.old else None
        was_charged = charge if billed else (_charged(change.old, bucket, markup_bp) if change.old else None)
        yield Loss(
            tenant=settings.tenant.name,
            mode=settings.mode,
            customer=customer,
            change=change,
            bucket=bucket,
            charge_nanousd=charge,
            cost_nanousd=cost,
            is_new=before is not None and was_charged is not None and was_charged >= before,
        )


def _charged(price: Price | None, bucket: str, markup_bp: int) -> int | None:
    if price is None:
        return None
    try:
        rate = price.rate_for(bucket).nanousd_per_mtok
    except UnpricedModel:
        return None
    return ceil_div(rate * (BASIS_POINTS + markup_bp), BASIS_POINTS)


def _own_prices(settings: TenantSettings, at: datetime) -> dict[tuple[str, str], Price]:
    """A tenant's own prices in force, by the base book's names."""
    found: dict[tuple[str, str], Price] = {}
    rows = PriceEntry.objects.for_scope(settings.tenant, settings.mode).filter(from_at__lte=at)
    for row in rows.order_by("from_at"):
        name = base_name(row.provider, row.model) or row.model
        found[price_source(row.provider), name] = own_price(row).price
    return found


def _customers_with_markup(settings: TenantSettings) -> Iterable[Customer]:
    rows = Customer.objects.for_scope(settings.tenant, settings.mode).exclude(
        markup_bp=None, markup_models=[]
    )
    return rows.order_by("external_id").iterator()


def _markup_bp(settings: TenantSettings, row: Any, model: str) -> int:
    """The markup in force: the row's own for the model, then its general one, then the tenant's."""
    for entry in row.markup_models:
        if fnmatchcase(model, entry["model"]):
            return int(entry["markup_bp"])
    return int(row.markup_bp) if row.markup_bp is not None else _markup_bp(settings, settings, model)
