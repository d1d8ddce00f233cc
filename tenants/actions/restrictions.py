"""Restrictions: what is held against a customer beside what people decided, and lifted without undoing any of that."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from tenants.actions.customers import lock_customer, touch_customer
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.models import Customer

SHOWN = ("restricted_suspended", "restricted_requests_per_minute", "restricted_why")
WHY_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Restriction:
    """What is held against a customer; the empty one lifts all."""

    is_suspended: bool = False
    requests_per_minute: int = 0
    why: str = ""


@transaction.atomic
def restrict_customer(*, customer: Customer, actor: Actor, restriction: Restriction) -> Change[Customer]:
    """Hold something against a customer, or nothing any more; what people set on the customer stays as it is."""
    row = lock_customer(customer)
    before = shown(row, *SHOWN)
    row.restricted_suspended = restriction.is_suspended
    row.restricted_requests_per_minute = restriction.requests_per_minute
    row.restricted_why = restriction.why[:WHY_CHARS_MAX]
    if before == shown(row, *SHOWN):
        return Change(row)
    row.save(update_fields=[*SHOWN, "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("customer.restrict", row, before=before, after=shown(row, *SHOWN))
    touch_customer(row, trail)
    return trail.done(row)
