"""What is earned on calls: charge less cost from the rollups, the losses first; and single calls quoted below cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from billing.ledger.usage import UsageQuestion, usage
from billing.models import LedgerRow
from enforcement.keys import Scope
from metering.money import BASIS_POINTS

DEFAULT_GROUPS = ("customer", "model")


@dataclass(frozen=True, slots=True)
class Margin:
    """One group's charge against its cost, in nano-dollars. Unresolved calls count at what is held for them."""

    starts_at: datetime | None
    names: tuple[str | None, ...]
    attempts: int
    cost_nanousd: int
    charge_nanousd: int

    @property
    def margin_nanousd(self) -> int:
        """What is left of the charge; below zero it is a loss."""
        return self.charge_nanousd - self.cost_nanousd

    @property
    def margin_bp(self) -> int | None:
        """The margin's share of the charge in basis points, rounded down; None where nothing is charged."""
        if self.charge_nanousd <= 0:
            return None
        return self.margin_nanousd * BASIS_POINTS // self.charge_nanousd


def margins(question: UsageQuestion) -> list[Margin]:
    """Answer a question about usage with margins, the greatest loss first. Raises: UsageQuestionError."""
    found = [
        Margin(
            group.starts_at,
            group.names,
            group.attempts,
            group.sums["cost_nanousd"],
            group.sums["charge_nanousd"],
        )
        for group in usage(question)
    ]
    return sorted(found, key=lambda each: each.margin_nanousd)


def quoted_below_cost(scope: Scope, since: datetime, *, count: int) -> list[LedgerRow]:
    """The newest attempts since an instant whose quote charged less than it cost."""
    rows = LedgerRow.objects.for_scope(scope).filter(started_at__gte=since, corrects="")
    below = rows.filter(quote_charge_nanousd__lt=F("quote_cost_nanousd"))
    return list(below.order_by("-started_at", "-event_id")[:count])
