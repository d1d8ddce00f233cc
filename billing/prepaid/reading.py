"""A customer's credit as figures: what was paid, what is used, what is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from billing.models import PrepaidBudget
from tenants.balances import BudgetBalance, read_balances


@dataclass(frozen=True, slots=True)
class CreditFigures:
    """Amounts in nano-dollars; None where enforcement could not be asked."""

    credit_nanousd: int
    spent_nanousd: int | None
    held_nanousd: int | None
    available_nanousd: int | None
    pending: bool = False


def figures_of(prepaid: PrepaidBudget) -> CreditFigures:
    """Read one customer's credit."""
    return figures_of_all([prepaid])[prepaid.pk]


def figures_of_all(rows: Iterable[PrepaidBudget]) -> dict[str, CreditFigures]:
    """Read several customers' credit by the prepaid budget's id, the balances together."""
    known = list(rows)
    balances = read_balances([row.budget for row in known])
    return {row.pk: _figures(row, balances[row.budget_id]) for row in known}


def _figures(row: PrepaidBudget, balance: BudgetBalance) -> CreditFigures:
    return CreditFigures(
        row.budget.limit_nanousd,
        balance.spent_nanousd,
        balance.held_nanousd,
        balance.available_nanousd,
        balance.pending,
    )
