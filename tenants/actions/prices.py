"""Prices: a change is a new dated entry; the past keeps its rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from metering.errors import MoneyError
from metering.prices import make_price
from tenants import providers, rules
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.actions.tenants import lock_settings, touch_policy
from tenants.errors import AlreadyExists, InvalidInput
from tenants.ids import new_price_id
from tenants.models import PriceEntry, Tenant

SHOWN = ("provider", "model", "from_at", "rates", "tiers", "extras_nanousd", "per_request_nanousd")
MODEL_CHARS_MAX = 200
CLOCK_SKEW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTerms:
    """A price in nano-dollars: rates and tiers per million tokens, extras per unit."""

    rates: Mapping[str, int]
    tiers: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    extras_nanousd: Mapping[str, int] = field(default_factory=dict)
    per_request_nanousd: int = 0


@transaction.atomic
def put_price(
    *,
    tenant: Tenant,
    mode: str,
    actor: Actor,
    name: tuple[str, str],
    terms: PriceTerms,
    from_at: datetime | None = None,
) -> Change[PriceEntry]:
    """Price ``(provider, model)`` from an instant on; now, unless said otherwise. The same price again changes nothing.

    Raises: AlreadyExists when another price starts at that very instant; InvalidInput.
    """
    provider, model = _checked_name(*name)
    columns = _checked_columns(provider, model, terms)
    now = timezone.now()
    starts_at = from_at or now
    if starts_at < now - CLOCK_SKEW:
        raise InvalidInput("from", f"from {starts_at.isoformat()} has passed; a price cannot change the past")
    settings = lock_settings(tenant, mode)
    entries = PriceEntry.objects.for_scope(tenant, mode).filter(provider=provider, model=model)
    before = entries.filter(from_at__lte=starts_at).order_by("-from_at").first()
    if before is not None and all(getattr(before, column) == value for column, value in columns.items()):
        return Change(before)
    if entries.filter(from_at=starts_at).exists():
        raise AlreadyExists(f"another price of {provider}/{model} starts at {starts_at.isoformat()}")
    row = PriceEntry.objects.create(
        id=new_price_id(),
        tenant=tenant,
        mode=mode,
        provider=provider,
        model=model,
        from_at=starts_at,
        **columns,
    )
    trail = Trail(tenant, mode, actor)
    trail.audit("price.put", row, before=shown(before, *SHOWN) if before else None, after=shown(row, *SHOWN))
    touch_policy(settings, trail)
    return trail.done(row, created=True)


def _checked_name(provider: str, model: str) -> tuple[str, str]:
    name = model.strip()
    if not name or len(name) > MODEL_CHARS_MAX:
        raise InvalidInput("model", f"a model's name has 1 to {MODEL_CHARS_MAX} characters")
    return providers.canonical(provider), name


def _checked_columns(provider: str, model: str, terms: PriceTerms) -> dict[str, object]:
    amounts = [*terms.rates.values(), *terms.extras_nanousd.values(), terms.per_request_nanousd]
    amounts += [rate for steps in terms.tiers.values() for _, rate in steps]
    for nanousd in amounts:
        rules.limit_nanousd(nanousd)
    try:
        make_price(
            "",
            (provider, model),
            rates=terms.rates,
            tiers=terms.tiers,
            extras_nanousd=terms.extras_nanousd,
            per_request_nanousd=terms.per_request_nanousd,
        )
    except MoneyError as error:
        raise InvalidInput("rates", str(error)) from error
    return {
        "rates": dict(terms.rates),
        "tiers": {bucket: [list(step) for step in steps] for bucket, steps in terms.tiers.items()},
        "extras_nanousd": dict(terms.extras_nanousd),
        "per_request_nanousd": terms.per_request_nanousd,
    }
