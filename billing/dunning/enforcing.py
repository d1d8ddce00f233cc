"""From open cases to what the proxies do: a restriction, a further budget, or nothing any more; in force at once."""

from __future__ import annotations

from django.db import transaction

from billing.dunning.reasons import Consequence, consequence_of
from billing.models import DunningCase, DunningPolicy
from tenants.actions.budgets import BudgetTerms, archive_budget, change_limit, create_budget
from tenants.actions.customers import lock_customer
from tenants.actions.recording import Actor
from tenants.actions.restrictions import restrict_customer
from tenants.models import Budget, Customer, Tenant
from tenants.publishing import publish_now

KEEPER = "dunning"
CAP_NAME = "While payment is due"


def policy_of(tenant: Tenant, mode: str) -> DunningPolicy:
    """A tenant's policy in one mode; one that was never set does nothing, and is not saved by this."""
    row = DunningPolicy.objects.for_scope(tenant, mode).first()
    return row or DunningPolicy(tenant=tenant, mode=mode)


def enforce(customer: Customer, *, actor: Actor) -> bool:
    """Have the open cases' consequence in force, and nothing else; returns whether anything changed."""
    with transaction.atomic():
        row = lock_customer(customer)
        cases = DunningCase.objects.filter(customer=row, closed_at=None)
        wanted = consequence_of(cases.values_list("reason", flat=True), policy_of(row.tenant, row.mode))
        entries = (
            *restrict_customer(customer=row, actor=actor, restriction=wanted.restriction).entries,
            *_cap(row, wanted, actor),
        )
    publish_now(entries)
    return bool(entries)


def _cap(customer: Customer, wanted: Consequence, actor: Actor) -> tuple[int, ...]:
    """Make, change or end the further budget; people's own budgets stay as they are all the while."""
    budget = Budget.objects.in_force().filter(customer=customer, kept_by=KEEPER).first()
    if wanted.cap_nanousd is None:
        return archive_budget(budget=budget, actor=actor, keeper=KEEPER).entries if budget else ()
    if budget is None:
        terms = BudgetTerms(
            limit_nanousd=wanted.cap_nanousd, window_kind="month", measure="charge", name=CAP_NAME, kept_by=KEEPER
        )  # fmt: skip
        made = create_budget(
            tenant=customer.tenant, mode=customer.mode, actor=actor, terms=terms, target=customer
        )
        return made.entries
    if budget.limit_nanousd == wanted.cap_nanousd:
        return ()
    return change_limit(budget=budget, actor=actor, limit_nanousd=wanted.cap_nanousd, keeper=KEEPER).entries
