"""How good quotes were: bounds against what providers reported, by model and mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connection

from billing.ledger.calibration_sql import CLASSES, EDGES_PERMILLE, SHARES, SUMS
from enforcement.keys import Scope
from tenants.actions.stopped_models import DayOfModel

ABOVE = CLASSES - 1
_SUMMED = ", ".join(
    (
        *(f"sum({name})::numeric" for name in SUMS),
        *(
            "ARRAY[" + ", ".join(f"sum({name}[{place}])::bigint" for place in range(1, CLASSES + 1)) + "]"
            for name in SHARES
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that was bounded: its bound and what it came to in sum, and the calls by share of their bound."""

    bound: int
    actual: int
    shares: tuple[int, ...]

    @property
    def above_count(self) -> int:
        """How many calls came to more than their bound."""
        return self.shares[ABOVE]

    @property
    def unneeded_percent(self) -> int | None:
        """How much of the bound was not needed, in whole percent; negative where more was needed than bounded."""
        return (self.bound - self.actual) * 100 // self.bound if self.bound else None

    def permille_at(self, percent: int) -> int | None:
        """The edge of the class in which a percentile of the calls lies; None above the bound or without calls."""
        wanted, reached = -(-sum(self.shares) * percent // 100), 0
        for place, count in enumerate(self.shares[:ABOVE]):
            reached += count
            if wanted and reached >= wanted:
                return EDGES_PERMILLE[place]
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One model in one mode, by the class of its bounds. Input and output in tokens, cost in nano-dollars."""

    provider: str
    model: str
    mode: str
    bound_class: str
    calls: int
    input: Measure
    output: Measure
    cost: Measure


def calibration(
    since: date, *, scope: Scope | None = None, provider: str = "", model: str = ""
) -> list[Calibration]:
    """Read the sums of UTC days from one on, of one tenant or of all, those with the most calls first."""
    where, values = ["day >= %s"], [str(since)]
    named = {"provider": provider, "model": model}
    if scope is not None:
        named |= {"tenant_id": scope.tenant_id, "mode": scope.mode}
    for column, value in named.items():
        if value:
            where.append(f"{column} = %s")
            values.append(value)
    query = (
        f"SELECT provider, model, mode, bound_class, {_SUMMED} FROM calibration WHERE {' AND '.join(where)} "  # noqa: S608 - our own names
        "GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4"
    )
    return [_read(row) for row in _ask(query, values)]


def days_with_overruns(since: date) -> list[tuple[str, str, DayOfModel]]:
    """Every tenant, mode and model with overruns on a UTC day from one on, with that day's figures."""
    query = (
        "SELECT tenant_id, mode, provider, model, day, sum(calls)::bigint, sum(overruns)::bigint FROM calibration "
        "WHERE day >= %s GROUP BY 1, 2, 3, 4, 5 HAVING sum(overruns) > 0 ORDER BY 1, 2, 3, 4, 5"
    )
    return [
        (tenant_id, mode, DayOfModel(*figures)) for tenant_id, mode, *figures in _ask(query, [str(since)])
    ]


def day_of_model(scope: Scope, provider: str, model: str, day: date) -> DayOfModel:
    """One model's figures of one UTC day, zero where there are none."""
    query = (
        "SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(overruns), 0)::bigint FROM calibration "
        "WHERE tenant_id = %s AND mode = %s AND provider = %s AND model = %s AND day = %s"
    )
    [(calls, overruns)] = _ask(query, [scope.tenant_id, scope.mode, provider, model, str(day)])
    return DayOfModel(provider, model, day, calls, overruns)


def _ask(query: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def _read(row: tuple[Any, ...]) -> Calibration:
    provider, model, mode, bound_class = row[:4]
    sums = dict(zip(SUMS, map(int, row[4 : 4 + len(SUMS)]), strict=True))
    shares = [tuple(counts) for counts in row[4 + len(SUMS) :]]
    return Calibration(
        provider=provider,
        model=model,
        mode=mode,
        bound_class=bound_class,
        calls=sums["calls"],
        input=Measure(bound=sums["input_bound_tokens"], actual=sums["input_tokens"], shares=shares[0]),
        output=Measure(bound=sums["output_cap_tokens"], actual=sums["output_tokens"], shares=shares[1]),
        cost=Measure(bound=sums["held_nanousd"], actual=sums["cost_nanousd"], shares=shares[2]),
    )
