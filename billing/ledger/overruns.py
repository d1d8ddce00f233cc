"""Overruns beyond a tenant's threshold: what the ledger saw, put into force as stopped models."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from billing.ledger.calibration import days_with_overruns
from tenants.actions.stopped_models import stop_overrun_model
from tenants.models import StoppedModel, Tenant
from tenants.publishing import publish_now

log = logging.getLogger(__name__)

# A call is of the day it began on, and may end on the next.
LOOK_BACK = timedelta(days=1)


def stop_overrun_models() -> list[StoppedModel]:
    """Stop each model whose overruns of a day are beyond its tenant's threshold, at once; returns the new stops."""
    found = days_with_overruns(timezone.now().date() - LOOK_BACK)
    tenants = Tenant.objects.in_bulk({tenant_id for tenant_id, _, _ in found})
    stops: list[StoppedModel] = []
    for tenant_id, mode, day in found:
        tenant = tenants.get(tenant_id)
        change = stop_overrun_model(tenant=tenant, mode=mode, found=day) if tenant else None
        if change is None:
            continue
        in_force = publish_now(change.entries)
        stops.append(change.row)
        log.error(
            "model.stopped",
            extra={
                "tenant_id": tenant_id, "mode": mode, "provider": day.provider, "model": day.model,
                "overruns": day.overruns, "calls": day.calls, "in_force": in_force,
            },
        )  # fmt: skip
    return stops
