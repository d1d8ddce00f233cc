"""What opens in one step: a customer with its budget and key, and a tenant with its owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from tenants.actions.budgets import BudgetTerms, create_budget
from tenants.actions.customers import create_customer
from tenants.actions.keys import IssuedKey, create_key
from tenants.actions.recording import Actor, Change
from tenants.actions.tenants import create_tenant
from tenants.errors import AlreadyExists
from tenants.models import Budget, Customer, Member, Tenant, User

SLUG_TRIES_MAX = 50


@dataclass(frozen=True, slots=True)
class OpenedCustomer:
    """A customer that can make calls, and the outbox entries that will put it in force."""

    customer: Customer
    budget: Budget
    issued: IssuedKey
    entries: tuple[int, ...]


@transaction.atomic
def open_customer(
    *,
    tenant: Tenant,
    mode: str,
    actor: Actor,
    external_id: str,
    terms: BudgetTerms,
    values: Mapping[str, Any] | None = None,
) -> OpenedCustomer:
    """Make a customer with its budget and its first key: all three or none.

    Raises: AlreadyExists; InvalidInput.
    """
    made = create_customer(tenant=tenant, mode=mode, actor=actor, external_id=external_id, values=values)
    budget = create_budget(
        tenant=tenant,
        mode=mode,
        actor=actor,
        terms=terms,
        target=made.row,
        # The id that the proxy would give it, so that both roads lead to the same row.
        budget_id=Budget.default_id_for(tenant.pk, mode, external_id),
    )
    issued = create_key(
        tenant=tenant,
        mode=mode,
        kind="customer",
        actor=actor,
        customer=made.row,
        values={"name": "first key"},
    )
    entries = (*made.entries, *budget.entries, *issued.change.entries)
    return OpenedCustomer(made.row, budget.row, issued, entries)


@transaction.atomic
def open_tenant(*, name: str, owner: User) -> Change[Tenant]:
    """Make a tenant owned by somebody who just signed up; a taken address gets a number behind it.

    Raises: AlreadyExists; InvalidInput.
    """
    actor = Actor("member", str(owner.pk), owner.email)
    change = create_tenant(name=name, slug=_free_slug(name), actor=actor)
    Member.objects.create(tenant=change.row, user=owner, role=Member.Role.OWNER)
    return change


def _free_slug(name: str) -> str:
    wanted = slugify(name)[:70] or "team"
    for number in range(1, SLUG_TRIES_MAX):
        slug = wanted if number == 1 else f"{wanted}-{number}"
        if not Tenant.objects.filter(slug=slug).exists():
            return slug
    raise AlreadyExists(f"{SLUG_TRIES_MAX} tenants are called {name!r} already; choose another name")
