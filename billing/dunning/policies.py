"""What a tenant wants done while customers do not pay: set, and in force for those who do not pay now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from billing.dunning.enforcing import enforce, policy_of
from billing.models import DunningCase, DunningPolicy
from tenants import rules
from tenants.actions.recording import Actor, Trail, shown
from tenants.models import Customer, Tenant

REASONS = tuple(DunningCase.Reason.values)
MEASURES = tuple(DunningPolicy.Measure.values)
RULES: dict[str, rules.Rule] = {
    **{reason: rules.word(reason, MEASURES) for reason in REASONS},
    "throttle_requests_per_minute": rules.bounded(
        "throttle_requests_per_minute", least=1, most=rules.RATE_MAX
    ),
    "cap_nanousd": rules.limit_nanousd,
}


def set_policy(*, tenant: Tenant, mode: str, actor: Actor, values: Mapping[str, Any]) -> DunningPolicy:
    """Change what follows from not paying; values that are not given stay. Raises: InvalidInput."""
    checked = rules.checked(RULES, values, noun="the dunning policy")
    with transaction.atomic():
        DunningPolicy.objects.get_or_create(tenant=tenant, mode=mode)
        row = DunningPolicy.objects.select_for_update(of=("self",)).get(tenant=tenant, mode=mode)
        before = shown(row, *checked)
        for field, value in checked.items():
            setattr(row, field, value)
        row.save()
        trail = Trail(tenant, mode, actor)
        trail.audit("dunning_policy.change", row, before=before, after=shown(row, *checked))
    owing = DunningCase.objects.for_scope(tenant, mode).filter(closed_at=None)
    for customer in Customer.objects.filter(pk__in=owing.values("customer_id")).order_by("pk"):
        enforce(customer, actor=actor)
    return row


__all__ = ["MEASURES", "REASONS", "policy_of", "set_policy"]
