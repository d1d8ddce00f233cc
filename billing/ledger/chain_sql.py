"""The SQL that chains each tenant's rows: one link per batch, made in the statement that books.

A row's canonical bytes are PostgreSQL's binary form of the record of its columns: how many, then of each its type, its
length (-1 for null) and its value. That is unambiguous, tells instants to the microsecond, has the keys of jsonb in the
one order PostgreSQL keeps them in, and comes out the same whenever the row is read again (docs/adr/0014).
"""

# ruff: noqa: S608 - made of our own names only; values always travel beside the statement

from __future__ import annotations

from metering.usage import TOKEN_BUCKETS

VERSION = 1
GENESIS = bytes(32)  # what the first link of a chain follows
# Every column but ``recorded_at``, which is the database's own; the order is part of the version, never to be changed.
COLUMNS = (
    "event_id", "month", "kind", "basis", "corrects", "tenant_id", "mode", "shard", "customer_id", "key_id",
    "account_id", "provider", "dialect", "model", "response_model", "request_id", "hold_id", "attempt", "tag_set_id",
    "run_id", "started_at", "ended_at", "booked_at", "upstream_status", "upstream_request_id", "end", "stream",
    "bound_class", "quoted_input_tokens", "output_cap", "output_cap_source", "quote_cost_nanousd",
    "quote_charge_nanousd", "cost_nanousd", "charge_nanousd", "price_id", "markup_bp", "markup_fixed_nanousd",
    *(f"{name}_tokens" for name in TOKEN_BUCKETS), "extras", "draws", "epoch", "seq",
)  # fmt: skip


def canonical(table: str) -> str:
    """The expression for the canonical bytes of a row of ``table``."""
    columns = ", ".join(table + f'."{name}"' for name in COLUMNS)
    return f"record_send(ROW({columns}))"


ROW_DIGEST = f"sha256({canonical('ledger_row')})"

# What a link says of itself is in its digest as well, in the same form as a row.
_HEAD = (
    f"record_send(ROW({VERSION}::integer, batch.tenant_id, batch.mode, coalesce(last.number, 0) + 1, "
    "batch.row_count))"
)
_PREVIOUS = rf"coalesce(last.digest, '\x{GENESIS.hex()}'::bytea)"

# ``{batches}``: rows of (tenant_id, mode, row_count, first and last position, event_ids, row_digests), a link each.
APPEND = rf"""
INSERT INTO ledger_link (tenant_id, mode, number, version, previous, digest, row_count, first_epoch, first_seq,
                         last_epoch, last_seq, event_ids, row_digests)
SELECT batch.tenant_id, batch.mode, coalesce(last.number, 0) + 1, {VERSION}, {_PREVIOUS},
       sha256({_PREVIOUS} || {_HEAD} || batch.row_digests), batch.row_count,
       batch.first_at[1], batch.first_at[2], batch.last_at[1], batch.last_at[2], batch.event_ids, batch.row_digests
FROM ({{batches}}) AS batch LEFT JOIN LATERAL (
    SELECT number, digest FROM ledger_link AS link
    WHERE link.tenant_id = batch.tenant_id AND link.mode = batch.mode ORDER BY number DESC LIMIT 1
) AS last ON true
"""

# Rows with a ``row_digest``, one batch per tenant and mode, in the order of their positions.
BATCHES = """
SELECT tenant_id, mode, count(*) AS row_count, min(ARRAY[epoch, seq]) AS first_at, max(ARRAY[epoch, seq]) AS last_at,
       array_agg(event_id ORDER BY epoch, seq, event_id) AS event_ids,
       string_agg(row_digest, ''::bytea ORDER BY epoch, seq, event_id) AS row_digests
FROM {rows} GROUP BY 1, 2 ORDER BY 1, 2
"""

UPSERT = APPEND.format(batches=BATCHES.format(rows="fresh"))

# A second writer of one chain cannot be while shards are locked; were there one, it would be refused by this name.
PRIMARY_KEY = "ledger_link_pkey"
