"""The SQL that adds to what is not sealed yet, in the statement that books: what a customer is to be billed.

A row is billable when what it says is final. An expired call stands at its quote and is not billed; the first
correction of it makes both billable at once, at the correction's instant, so that only what is finally booked is ever
billed, whichever of the two is booked first. A later correction of the same call is billable by itself.
"""

# ruff: noqa: S608 - made of our own names only; values always travel beside the statement

from __future__ import annotations

# The line of an invoice that all usage goes to; the same as StripeMeter's, which needs Django.
LINE = "usage"
# Which row of the hold a row is about: the expiry it corrects, or itself.
_ABOUT = "coalesce(nullif(corrects, ''), event_id)"
_IS_OF_EXPIRY = "(basis = 'unresolved' OR corrects LIKE '%.expired.%')"

# ``told`` = rows of this batch about an expiry; ``known`` = what the ledger had of it before, a prefix of the key.
# The join is lateral and sums, so it is done row by row in the index, however many rows PostgreSQL expects.
_PAIRS = f"""
    SELECT told.tenant_id, told.mode, coalesce(nullif(told.customer_id, ''), known.customer_id, '') AS customer_id,
           greatest(told.corrected_at, known.corrected_at) AS at,
           told.charge_nanousd + CASE WHEN known.is_pair THEN 0 ELSE coalesce(known.charge_nanousd, 0) END
               AS charge_nanousd,
           told.row_count + CASE WHEN known.is_pair THEN 0 ELSE known.row_count END AS row_count
    FROM (
        SELECT tenant_id, mode, month, {_ABOUT} AS about, max(customer_id) AS customer_id,
               max(booked_at) FILTER (WHERE corrects <> '') AS corrected_at, bool_or(corrects = '') AS has_expiry,
               sum(charge_nanousd) AS charge_nanousd, count(*) AS row_count
        FROM fresh WHERE {_IS_OF_EXPIRY} GROUP BY 1, 2, 3, 4
    ) AS told CROSS JOIN LATERAL (
        SELECT max(customer_id) AS customer_id, max(booked_at) FILTER (WHERE corrects <> '') AS corrected_at,
               coalesce(bool_or(corrects = ''), false) AS has_expiry,
               coalesce(bool_or(corrects = '') AND bool_or(corrects <> ''), false) AS is_pair,
               sum(charge_nanousd) AS charge_nanousd, count(*) AS row_count
        FROM ledger_row
        WHERE month = told.month AND event_id >= split_part(told.about, '.', 1) || '.'
          AND event_id < split_part(told.about, '.', 1) || '/' AND (event_id = told.about OR corrects = told.about)
    ) AS known
    WHERE (told.has_expiry OR known.has_expiry) AND greatest(told.corrected_at, known.corrected_at) IS NOT NULL
"""

UPSERT = f"""
INSERT INTO unsealed (tenant_id, mode, customer_id, line, at, row_count, charge_nanousd)
SELECT tenant_id, mode, customer_id, '{LINE}', date_trunc('second', at) AS at, sum(row_count)::bigint,
       sum(charge_nanousd)::bigint
FROM (
    SELECT tenant_id, mode, customer_id, CASE corrects WHEN '' THEN started_at ELSE booked_at END AS at,
           charge_nanousd, 1 AS row_count
    FROM fresh WHERE NOT {_IS_OF_EXPIRY} AND charge_nanousd <> 0
    UNION ALL
    {_PAIRS}
) AS billable
GROUP BY 1, 2, 3, 5 ORDER BY 1, 2, 3, 5
ON CONFLICT (tenant_id, mode, customer_id, line, at) DO UPDATE
SET row_count = unsealed.row_count + excluded.row_count,
    charge_nanousd = unsealed.charge_nanousd + excluded.charge_nanousd, recorded_until = excluded.recorded_until
"""
