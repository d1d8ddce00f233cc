"""Budgets as gauges: what of a limit is spent, in flight and available in the window that is running."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenants.balances import BudgetBalance, read_balances
from tenants.models import Budget

PER_CALL_MAX = 500
PERMILLE = 1000
# From here on a budget is called near its limit.
NEAR_PERMILLE = 800


@dataclass(frozen=True, slots=True)
class Gauge:
    """One budget with its balance, as a bar of a thousand parts."""

    budget: Budget
    balance: BudgetBalance

    @property
    def is_known(self) -> bool:
        """Whether the balance could be read."""
        return self.balance.source == "live"

    @property
    def spent_permille(self) -> int:
        """The spent part of the bar."""
        return self._part(self.balance.spent_nanousd or 0)

    @property
    def held_permille(self) -> int:
        """The part in flight, after what is spent; never beyond the bar's end."""
        return min(self._part(self.balance.held_nanousd or 0), PERMILLE - self.spent_permille)

    @property
    def used_permille(self) -> int:
        """Spent and in flight together."""
        return self.spent_permille + self.held_permille

    @property
    def used_percent(self) -> int:
        """Spent and in flight in hundredths of the limit."""
        return self.used_permille // 10

    @property
    def level(self) -> str:
        """``unknown``, ``full`` once spent leaves nothing, ``near`` from four fifths, else ``calm``."""
        if not self.is_known:
            return "unknown"
        if self.spent_permille >= PERMILLE:
            return "full"
        return "near" if self.spent_permille >= NEAR_PERMILLE else "calm"

    def _part(self, amount_nanousd: int) -> int:
        if self.balance.limit_nanousd <= 0:
            return PERMILLE
        return max(0, min(PERMILLE, amount_nanousd * PERMILLE // self.balance.limit_nanousd))


@dataclass(frozen=True, slots=True)
class Sums:
    """What known gauges add up to; unknown ones are only counted."""

    limit_nanousd: int
    spent_nanousd: int
    held_nanousd: int
    available_nanousd: int
    unknown: int


def read_gauges(budgets: Sequence[Budget]) -> list[Gauge]:
    """Read the gauges of budgets. While enforcement is away they are unknown, and the page still stands."""
    balances: dict[str, BudgetBalance] = {}
    for start in range(0, len(budgets), PER_CALL_MAX):
        balances |= read_balances(budgets[start : start + PER_CALL_MAX])
    return [Gauge(budget, balances[budget.pk]) for budget in budgets]


def sum_gauges(gauges: Sequence[Gauge]) -> Sums:
    """Add gauges up."""
    told = [gauge.balance for gauge in gauges if gauge.is_known]
    return Sums(
        limit_nanousd=sum(balance.limit_nanousd for balance in told),
        spent_nanousd=sum(balance.spent_nanousd or 0 for balance in told),
        held_nanousd=sum(balance.held_nanousd or 0 for balance in told),
        available_nanousd=sum(balance.available_nanousd or 0 for balance in told),
        unknown=len(gauges) - len(told),
    )


def mark_of(*parts: object) -> str:
    """A short mark of what a fragment shows, so that an unchanged one need not be sent again."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def gauges_mark(gauges: Iterable[Gauge]) -> str:
    """The mark of gauges as they stand."""
    return mark_of(*((gauge.budget.pk, gauge.balance) for gauge in gauges))
