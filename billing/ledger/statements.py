"""The recorder's SQL: stage by COPY, then one statement makes rows, and of what was new all that is summed from them.

Everything derived is computed from what ``INSERT ... ON CONFLICT DO NOTHING`` returned, so an event that comes twice
counts once. The groups are written in the order of their keys, so that two recorders cannot wait for each other.
"""

# ruff: noqa: S608 - made of our own names only; values always travel beside the statement

from __future__ import annotations

from billing.ledger import calibration_sql, chain_sql, unsealed_sql
from billing.ledger.rows import STAGED
from metering.usage import TOKEN_BUCKETS

# Staged columns that become a column of another name or type.
_CONVERTED = {
    "month": ("month", "month::date"),
    "booked_ms": ("booked_at", "timestamptz 'epoch' + booked_ms * interval '1 millisecond'"),
    "started_ms": ("started_at", "timestamptz 'epoch' + started_ms * interval '1 millisecond'"),
    "ended_ms": ("ended_at", "timestamptz 'epoch' + ended_ms * interval '1 millisecond'"),
    "draws": ("draws", "draws::jsonb"),
    "extras": ("extras", "extras::jsonb"),
    "attempt": ("attempt", "attempt::integer"),
    "upstream_status": ("upstream_status", "upstream_status::integer"),
    "shard": ("shard", "shard::smallint"),
}
_ROW_COLUMNS = [_CONVERTED.get(name, (f'"{name}"', f'"{name}"')) for name, _ in STAGED]

_BUCKET_SUMS = [f"{name}_tokens" for name in TOKEN_BUCKETS]
_ROLLUP_SUMS = ["row_count", *_BUCKET_SUMS, "quote_cost_nanousd", "cost_nanousd", "charge_nanousd"]
ROLLUP_DIMENSIONS = (
    "tenant_id", "mode", "slot", "customer_id", "key_id", "account_id", "provider", "model", "basis", "kind",
    "tag_set_id",
)  # fmt: skip
ROLLUP_COLUMNS = (*ROLLUP_DIMENSIONS, *_ROLLUP_SUMS)
WINDOW_SUMS = ["row_count", "spent_nanousd"]
WINDOW_COLUMNS = ("tenant_id", "mode", "budget_id", "window_id", "measure", "shard", *WINDOW_SUMS)
# Every zone's day begins on a quarter of an hour, so every zone's day is a sum of these.
SLOT = "date_bin('15 minutes', started_at, timestamptz 'epoch')"


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)


def _added(table: str, sums: list[str]) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)


CREATE_STAGE = (
    "CREATE TEMPORARY TABLE incoming ("
    + ", ".join(f'"{name}" {kind}' + (' COLLATE "C"' if kind == "text" else "") for name, kind in STAGED)
    + ") ON COMMIT DELETE ROWS"
)

STAGE = "COPY incoming FROM STDIN"

ROLLUP_SELECT = (
    f"SELECT tenant_id, mode, {SLOT} AS slot, customer_id, key_id, account_id, provider, model, basis, kind, "
    "tag_set_id, count(*) AS row_count, "
    + ", ".join(f"sum({name})::bigint AS {name}" for name in _ROLLUP_SUMS[1:])
    + " FROM {rows} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
)

WINDOW_SELECT = (
    'SELECT tenant_id, mode, (draw->>0) COLLATE "C" AS budget_id, (draw->>1) COLLATE "C" AS window_id, '
    '(draw->>2) COLLATE "C" AS measure, min(shard) AS shard, '
    "count(*) AS row_count, "
    "sum(CASE draw->>2 WHEN 'cost' THEN cost_nanousd ELSE charge_nanousd END)::bigint AS spent_nanousd "
    "FROM {rows} CROSS JOIN LATERAL jsonb_array_elements(draws) AS draw "
    "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
)

BOOK = f"""
WITH fresh AS (
    INSERT INTO ledger_row ({_listed([column for column, _ in _ROW_COLUMNS])})
    SELECT {_listed([expression for _, expression in _ROW_COLUMNS])} FROM incoming
    ON CONFLICT (month, event_id) DO NOTHING
    RETURNING event_id, tenant_id, mode, shard, customer_id, key_id, account_id, provider, model, basis, kind,
              tag_set_id, started_at, {_listed(_BUCKET_SUMS)}, quote_cost_nanousd, cost_nanousd, charge_nanousd, draws,
              bound_class, quoted_input_tokens, output_cap, month, corrects, booked_at, epoch, seq,
              {chain_sql.ROW_DIGEST} AS row_digest
), rolled AS (
    INSERT INTO usage_rollup ({_listed(ROLLUP_COLUMNS)})
    {ROLLUP_SELECT.format(rows="fresh")}
    ON CONFLICT ({_listed(ROLLUP_DIMENSIONS)}) DO UPDATE SET {_added("usage_rollup", _ROLLUP_SUMS)}
), windows AS (
    INSERT INTO budget_window ({_listed(WINDOW_COLUMNS)})
    {WINDOW_SELECT.format(rows="fresh")}
    ON CONFLICT ({_listed(WINDOW_COLUMNS[:5])}) DO UPDATE SET {_added("budget_window", WINDOW_SUMS)}
), calibrated AS (
    {calibration_sql.UPSERT}
), billed AS (
    {unsealed_sql.UPSERT}
), chained AS (
    {chain_sql.UPSERT}
)
SELECT count(*) FROM fresh
"""

TAG_SETS = """
INSERT INTO tag_set (tenant_id, tag_set_id, tags) VALUES (%s, %s, %s::jsonb) ON CONFLICT DO NOTHING
"""

DEAD_LETTERS = """
INSERT INTO dead_letter (shard, source, stream_id, reason, detail, event_id, raw)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (shard, source, stream_id, reason) DO NOTHING RETURNING dead_letter_id
"""

MARK = """
INSERT INTO shard_mark (shard, epoch, seq, stream_id, dead_stream_id, seen_epoch, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, now())
ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, stream_id = excluded.stream_id,
    dead_stream_id = excluded.dead_stream_id, seen_epoch = excluded.seen_epoch, updated_at = excluded.updated_at
"""

MARKS = (
    "SELECT shard, epoch, seq, stream_id, dead_stream_id, seen_epoch FROM shard_mark WHERE shard = ANY(%s)"
)

# Session locks die with the connection that writes: who lost the lock cannot write either.
LOCK_CLASS = 0x4642  # "FB"
LOCK = "SELECT shard FROM unnest(%s::int[]) AS shard WHERE pg_try_advisory_lock(%s, shard)"

ENSURE_MONTH = "SELECT farebox_ensure_ledger_month(%s)"

# '/' follows '.', so this is every row of a hold, found in the primary key.
ROWS_OF_HOLD = """
SELECT event_id, kind, cost_nanousd, charge_nanousd, draws FROM ledger_row
WHERE month = %s AND event_id >= %s AND event_id < %s ORDER BY event_id
"""
