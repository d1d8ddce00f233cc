"""Give a customer $50 a month, see what is left, raise it."""

from __future__ import annotations

from decimal import Decimal

from farebox import Farebox


def run(client: Farebox) -> None:
    """Give a customer $50 a month, see what is left, raise it."""
    customer = client.customers.create(external_id="examples-budgets")
    budget = client.budgets.create(customer=customer.id, window="month", limit_usd=Decimal("50.00"))
    raised = client.budgets.change(budget.id, limit_usd=Decimal("75.50"))
    print(raised.limit_usd, raised.available_usd)
    assert isinstance(raised.limit_usd, Decimal)
