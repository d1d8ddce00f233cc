"""Have a customer pay first, and end it."""

from __future__ import annotations

from django.db import transaction

from billing.models import PrepaidBudget
from billing.prepaid.crediting import KEEPER
from tenants.actions.budgets import BudgetTerms, archive_budget, create_budget
from tenants.actions.recording import Actor, Change
from tenants.errors import AlreadyExists
from tenants.models import Budget, Customer

NAME = "Prepaid"


@transaction.atomic
def open_prepaid(*, customer: Customer, actor: Actor, on_exhaustion: str = "refuse") -> Change[PrepaidBudget]:
    """Give a customer a prepaid budget: over all time, of charges, at nothing until something is paid.

    From then on its usage is not invoiced: it was paid. Raises: AlreadyExists.
    """
    if PrepaidBudget.objects.filter(customer=customer).exists():
        raise AlreadyExists(f"{customer.external_id} pays first already, or did so once")
    terms = BudgetTerms(
        limit_nanousd=0, window_kind="total", measure="charge", on_exhaustion=on_exhaustion, name=NAME, kept_by=KEEPER
    )  # fmt: skip
    made = create_budget(
        tenant=customer.tenant, mode=customer.mode, actor=actor, terms=terms, target=customer
    )
    row = PrepaidBudget.objects.create(
        tenant_id=customer.tenant_id, mode=customer.mode, customer=customer, budget=made.row
    )
    return Change(row, made.entries, created=True)


@transaction.atomic
def close_prepaid(*, prepaid: PrepaidBudget, actor: Actor) -> Change[Budget]:
    """End paying first: its budget limits nothing any more. What was paid and not used is between the two parties."""
    budget = Budget.objects.select_related("tenant", "customer", "key").get(pk=prepaid.budget_id)
    return archive_budget(budget=budget, actor=actor, keeper=KEEPER)
