"""What the books charge for good: read from the rows themselves, by hour or in sum, never from what was sealed of them.

Billable as at sealing: what is reported or estimated, at the call's beginning; an expiry only with its first
correction, and then both, at the correction's instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

# A correction comes as long after its call as one may be settled late; further back only whole sums look.
CORRECTED_WITHIN = timedelta(days=62)

# Each billable row with the instant at which it is billed; an expiry is in the charge of its first correction.
BILLABLE = """
WITH mine AS MATERIALIZED (
    SELECT month, event_id, basis, corrects, customer_id, started_at, booked_at, charge_nanousd FROM ledger_row
    WHERE tenant_id = %(tenant)s AND mode = %(mode)s AND recorded_at <= %(recorded)s {narrowed}
)
SELECT customer_id, CASE corrects WHEN '' THEN started_at ELSE booked_at END AS at, charge_nanousd, month, event_id
FROM mine WHERE basis <> 'unresolved' AND corrects NOT LIKE '%%.expired.%%'
UNION ALL
SELECT coalesce(nullif(late.customer_id, ''), expiry.customer_id), late.booked_at,
       late.charge_nanousd + CASE WHEN late.number = 1 THEN expiry.charge_nanousd ELSE 0 END, late.month, late.event_id
FROM (
    SELECT *, row_number() OVER (PARTITION BY corrects ORDER BY booked_at, event_id) AS number
    FROM mine WHERE corrects LIKE '%%.expired.%%'
) AS late JOIN mine AS expiry ON expiry.event_id = late.corrects AND expiry.month = late.month
"""

_BY_HOUR = """
SELECT date_trunc('hour', at), sum(charge_nanousd)::bigint FROM ({billable}) AS billable
WHERE at >= %(start)s AND at < %(end)s GROUP BY 1
"""

_BY_CUSTOMER = """
SELECT customer_id, sum(charge_nanousd)::numeric FROM ({billable}) AS billable
WHERE at < %(end)s GROUP BY 1 HAVING sum(charge_nanousd) <> 0
"""

_NARROWED = "AND customer_id = %(customer)s AND started_at >= %(oldest)s AND started_at < %(end)s"
_FOREVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Who:
    """Whose rows: a tenant's in one mode."""

    tenant_id: str
    mode: str


def charged_by_hour(who: Who, customer_id: str, start: datetime, end: datetime) -> dict[datetime, int]:
    """Sum a customer's billable charge of [start, end) by hour, in nano-dollars; hours without any are left out."""
    given = given_for(who, end) | {
        "customer": customer_id, "start": start, "oldest": start - CORRECTED_WITHIN,
    }  # fmt: skip
    return dict(_read(_BY_HOUR, _NARROWED, given))


def charged_by_customer(
    who: Who, until: datetime, *, recorded_until: datetime | None = None
) -> dict[str, int]:
    """Sum each customer's billable charge from the beginning until an instant, in nano-dollars.

    ``recorded_until`` leaves out what was booked after it. The empty customer is usage of keys without one.
    """
    given = given_for(who, until) | {"recorded": recorded_until or _FOREVER}
    return {customer_id: int(charge) for customer_id, charge in _read(_BY_CUSTOMER, "", given)}


def given_for(who: Who, end: datetime) -> dict[str, Any]:
    """The parameters that ``BILLABLE`` needs whatever it is narrowed to, and the end."""
    return {"tenant": who.tenant_id, "mode": who.mode, "end": end, "recorded": _FOREVER}


def _read(statement: str, narrowed: str, given: dict[str, Any]) -> list[tuple[Any, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(billable=BILLABLE.format(narrowed=narrowed)), given)
        return list(cursor.fetchall())
