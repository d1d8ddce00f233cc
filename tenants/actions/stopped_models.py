"""Models that cost more than their quotes: stopped beyond the tenant's threshold, resumed by a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db import transaction
from django.utils import timezone

from metering.money import BASIS_POINTS
from tenants.actions.recording import SYSTEM, Actor, Change, Trail, shown
from tenants.actions.tenants import lock_settings, touch_policy
from tenants.errors import WrongState
from tenants.ids import new_stop_id
from tenants.models import StoppedModel, Tenant, TenantSettings

SHOWN = ("provider", "model", "day", "calls", "overruns")


@dataclass(frozen=True, slots=True)
class DayOfModel:
    """How many of a model's settled calls on a UTC day cost more than their quotes."""

    provider: str
    model: str
    day: date
    calls: int
    overruns: int


@transaction.atomic
def stop_overrun_model(
    *, tenant: Tenant, mode: str, found: DayOfModel, actor: Actor = SYSTEM
) -> Change[StoppedModel] | None:
    """Stop a model whose day is beyond the tenant's threshold; None where it is not, or is stopped already."""
    settings = lock_settings(tenant, mode)
    stops = StoppedModel.objects.for_scope(tenant, mode).filter(provider=found.provider, model=found.model)
    if not is_beyond(settings, found) or stops.filter(resumed_at=None).exists():
        return None
    lifted = stops.filter(day=found.day).order_by("-resumed_at").first()
    if lifted is not None and not is_beyond(settings, _since(found, lifted)):
        return None
    row = StoppedModel.objects.create(
        id=new_stop_id(),
        tenant=tenant,
        mode=mode,
        provider=found.provider,
        model=found.model,
        day=found.day,
        calls=found.calls,
        overruns=found.overruns,
    )
    trail = Trail(tenant, mode, actor)
    trail.audit("model.stop", row, after=_shown(row))
    touch_policy(settings, trail)
    return trail.done(row, created=True)


@transaction.atomic
def resume_model(*, stop: StoppedModel, found: DayOfModel, actor: Actor) -> Change[StoppedModel]:
    """Admit a stopped model again; ``found`` are the figures of the day it was stopped, which count no more.

    Raises: WrongState when it was resumed before.
    """
    settings = lock_settings(stop.tenant, stop.mode)
    row = StoppedModel.objects.select_for_update().get(pk=stop.pk)
    if row.resumed_at is not None:
        raise WrongState(f"{row} was resumed at {row.resumed_at.isoformat()}")
    row.resumed_at = timezone.now()
    row.resumed_calls, row.resumed_overruns = found.calls, found.overruns
    row.save(update_fields=["resumed_at", "resumed_calls", "resumed_overruns"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit(
        "model.resume", row, before=_shown(row), after={"calls": found.calls, "overruns": found.overruns}
    )
    touch_policy(settings, trail)
    return trail.done(row)


def is_beyond(settings: TenantSettings, found: DayOfModel) -> bool:
    """Tell whether a day's overruns are as many, and as large a share, as the tenant stops a model for."""
    many = 0 < settings.overrun_stop_count <= found.overruns
    return many and found.overruns * BASIS_POINTS >= settings.overrun_stop_share_bp * found.calls


def _since(found: DayOfModel, lifted: StoppedModel) -> DayOfModel:
    calls, overruns = found.calls - lifted.resumed_calls, found.overruns - lifted.resumed_overruns
    return DayOfModel(found.provider, found.model, found.day, calls, overruns)


def _shown(row: StoppedModel) -> dict[str, object]:
    return {**shown(row, *SHOWN), "day": row.day.isoformat()}
