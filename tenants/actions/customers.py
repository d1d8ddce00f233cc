"""Customers: made by the API, by a file, or by the proxy at their first call; all roads lead to the same row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from tenants import rules
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.errors import AlreadyExists, InvalidInput, WrongState
from tenants.models import Customer, Outbox, Tenant
from tenants.versions import next_version

RULES: dict[str, rules.Rule] = {
    "name": rules.name,
    "state": rules.word("state", Customer.State.values),
    "models_allowed": rules.models_allowed,
    "metadata": rules.metadata,
    "markup_bp": rules.or_none(rules.markup_bp),
    "markup_fixed_nanousd": rules.limit_nanousd,
    "markup_models": rules.markup_models,
    **rules.RATES,
}


@transaction.atomic
def create_customer(
    *, tenant: Tenant, mode: str, actor: Actor, external_id: str, values: Mapping[str, Any] | None = None
) -> Change[Customer]:
    """Make a customer.

    Raises: AlreadyExists when the external id is taken in this mode; InvalidInput.
    """
    change = upsert_customer(tenant=tenant, mode=mode, actor=actor, external_id=external_id, values=values)
    if not change.created:
        raise AlreadyExists(f"customer {external_id!r} exists already as {change.row.pk} in mode {mode}")
    return change


@transaction.atomic
def upsert_customer(
    *,
    tenant: Tenant,
    mode: str,
    actor: Actor,
    external_id: str,
    values: Mapping[str, Any] | None = None,
    arrived: bool = False,
) -> Change[Customer]:
    """Make a customer, or change the one of this external id. Values that are not given stay as they are."""
    checked = rules.checked(RULES, values or {}, noun="a customer")
    rules.external_id(external_id)
    trail = Trail(tenant, mode, actor)
    if Customer.objects.filter(
        pk=Customer.id_for(tenant.pk, mode, external_id), erased_at__isnull=False
    ).exists():
        raise WrongState("the customer of this external id was erased; make one with another id")
    # The version is taken before the row exists: nobody can change a row that nobody sees.
    row, created = Customer.objects.get_or_create(
        tenant=tenant,
        mode=mode,
        external_id=external_id,
        defaults={
            "id": Customer.id_for(tenant.pk, mode, external_id),
            "version": next_version(),
            "arrived": arrived,
            **checked,
        },
    )
    if not created:
        return change_customer(customer=row, actor=actor, values=checked) if checked else Change(row)
    _check_markup(row)
    trail.audit("customer.create", row, after=shown(row, "external_id", *RULES))
    trail.publish(Outbox.Kind.CUSTOMER, row.pk)
    return trail.done(row, created=True)


@transaction.atomic
def change_customer(*, customer: Customer, actor: Actor, values: Mapping[str, Any]) -> Change[Customer]:
    """Change a customer; publishes its policy alone. The external id never changes."""
    if "external_id" in values:
        raise InvalidInput("external_id", "external_id never changes; make another customer")
    checked = rules.checked(RULES, values, noun="a customer")
    row = lock_customer(customer)
    if row.erased_at is not None:
        raise WrongState("the customer was erased; nothing about it changes any more")
    before = shown(row, *checked)
    for field, value in checked.items():
        setattr(row, field, value)
    _check_markup(row)
    row.save(update_fields=[*checked, "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("customer.change", row, before=before, after=checked)
    touch_customer(row, trail)
    return trail.done(row)


def _check_markup(row: Customer) -> None:
    """A customer's own general markup is a percentage with or without a fixed part: one part alone is no markup."""
    if row.markup_bp is None and row.markup_fixed_nanousd:
        raise InvalidInput(
            "markup_fixed_usd",
            "markup_fixed_usd needs markup_percent beside it: together they replace the tenant's markup",
        )


def suspend_customer(*, customer: Customer, actor: Actor) -> Change[Customer]:
    """Refuse all further calls of a customer; open calls keep their holds."""
    return change_customer(customer=customer, actor=actor, values={"state": "suspended"})


def resume_customer(*, customer: Customer, actor: Actor) -> Change[Customer]:
    """Admit a suspended customer's calls again."""
    return change_customer(customer=customer, actor=actor, values={"state": "active"})


def lock_customer(customer: Customer) -> Customer:
    """Take the lock that guards a customer's policy. Call it inside the transaction."""
    return Customer.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=customer.pk)


def touch_customer(customer: Customer, trail: Trail) -> None:
    """Give a customer's policy a new version and queue it. Needs ``lock_customer``."""
    customer.version = next_version()
    customer.save(update_fields=["version", "updated_at"])
    trail.publish(Outbox.Kind.CUSTOMER, customer.pk)
