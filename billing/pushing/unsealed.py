"""Taking what is not sealed yet: gone from its table in the transaction that makes a push of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from tenants.models import Customer

# Who has something to seal; a moment of an hour that is not over counts for nothing yet.
CUSTOMERS_WAITING = """
SELECT DISTINCT tenant_id, mode, customer_id, line FROM unsealed WHERE at < %s
UNION
SELECT tenant_id, mode, customer_id, line FROM billing_cursor WHERE is_owed
ORDER BY 1, 2, 3, 4
"""

# Rows that the recorder is adding to right now are left for the next time. An hour is in one day, a bucket in one hour.
_TAKE = """
WITH mine AS (
    SELECT at FROM unsealed
    WHERE tenant_id = %(tenant)s AND mode = %(mode)s AND customer_id = %(customer)s AND line = %(line)s
      AND at < %(until)s AND (%(since)s::date IS NULL OR at >= %(since)s::date)
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM unsealed USING mine
    WHERE tenant_id = %(tenant)s AND mode = %(mode)s AND customer_id = %(customer)s AND line = %(line)s
      AND unsealed.at = mine.at
    RETURNING unsealed.at, row_count, charge_nanousd, recorded_from, recorded_until
)
SELECT min(at), sum(charge_nanousd)::bigint, sum(row_count)::bigint, min(recorded_from), max(recorded_until)
FROM gone GROUP BY date_trunc('hour', at), width_bucket(at, %(edges)s::timestamptz[]) ORDER BY 1
"""

_WAITING = """
SELECT customer_id, line, min(at), sum(charge_nanousd)::bigint, sum(row_count)::bigint FROM unsealed
WHERE tenant_id = %s AND mode = %s AND at < %s GROUP BY 1, 2 ORDER BY 3 LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """What was billable of a customer within one bucket; ``at`` is its first moment with usage."""

    at: datetime
    charge_nanousd: int
    row_count: int
    recorded_from: datetime
    recorded_until: datetime


@dataclass(frozen=True, slots=True)
class WaitingSum:
    """What waits of one customer and line, and since when."""

    customer_id: str
    line: str
    oldest_at: datetime
    charge_nanousd: int
    row_count: int


def customers_waiting(until: datetime) -> Iterator[tuple[str, str, str, str]]:
    """Tell who has usage before an instant that no push took, or is owed: tenant, mode, customer, line."""
    with connection.cursor() as cursor:
        cursor.execute(CUSTOMERS_WAITING, [until])
        yield from cursor.fetchall()


def take_slices(
    customer: Customer, line: str, *, until: datetime, since: date | None, edges: Sequence[datetime]
) -> list[Slice]:
    """Take a customer's usage of [since, until) out of the table, summed by hour and by period."""
    given: dict[str, Any] = {
        "tenant": customer.tenant_id, "mode": customer.mode, "customer": customer.pk, "line": line,
        "until": until, "since": since, "edges": sorted(edges),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, given)
        return [Slice(*row) for row in cursor.fetchall()]


def waiting_sums(tenant_id: str, mode: str, *, until: datetime, count: int = 50) -> list[WaitingSum]:
    """What waits of a tenant in one mode, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [tenant_id, mode, until, count])
        return [WaitingSum(*row) for row in cursor.fetchall()]
