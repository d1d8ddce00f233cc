"""What is summed from ledger rows, how far each shard is recorded, and what could not be recorded."""

from __future__ import annotations

from django.db import migrations

from billing.migrations._names import APP, BUCKET_COLUMNS, RECORDER

# Updated many times a quarter of an hour: room in the page keeps those updates off the indexes.
SUMS = f"""
CREATE TABLE public.usage_rollup (
    tenant_id text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    slot timestamptz NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    basis text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    tag_set_id text COLLATE "C" NOT NULL,
    row_count bigint NOT NULL,
{BUCKET_COLUMNS}
    quote_cost_nanousd bigint NOT NULL,
    cost_nanousd bigint NOT NULL,
    charge_nanousd bigint NOT NULL,
    PRIMARY KEY (tenant_id, mode, slot, customer_id, key_id, account_id, provider, model, basis, kind, tag_set_id)
) WITH (fillfactor = 70);
CREATE INDEX usage_rollup_customer ON public.usage_rollup (tenant_id, mode, customer_id, slot);
CREATE TABLE public.budget_window (
    budget_id text COLLATE "C" NOT NULL,
    window_id text COLLATE "C" NOT NULL,
    measure text COLLATE "C" NOT NULL CHECK (measure IN ('cost', 'charge')),
    tenant_id text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    shard smallint NOT NULL,
    row_count bigint NOT NULL,
    spent_nanousd bigint NOT NULL,
    PRIMARY KEY (tenant_id, mode, budget_id, window_id, measure)
) WITH (fillfactor = 70);
CREATE INDEX budget_window_shard ON public.budget_window (shard);
CREATE TABLE public.tag_set (
    tenant_id text COLLATE "C" NOT NULL,
    tag_set_id text COLLATE "C" NOT NULL,
    tags jsonb NOT NULL,
    PRIMARY KEY (tenant_id, tag_set_id)
);
CREATE TABLE public.shard_mark (
    shard smallint PRIMARY KEY CHECK (shard >= 0),
    epoch bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    stream_id text COLLATE "C" NOT NULL DEFAULT '0-0',
    dead_stream_id text COLLATE "C" NOT NULL DEFAULT '0-0',
    seen_epoch bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.dead_letter (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    source text COLLATE "C" NOT NULL CHECK (source IN ('usage', 'dead')),
    stream_id text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    detail text NOT NULL DEFAULT '',
    event_id text COLLATE "C" NOT NULL DEFAULT '',
    raw bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (shard, source, stream_id, reason)
);
CREATE INDEX dead_letter_at ON public.dead_letter (at);
REVOKE ALL ON public.usage_rollup, public.budget_window, public.tag_set, public.shard_mark, public.dead_letter
    FROM PUBLIC, {APP}, {RECORDER};
GRANT SELECT ON public.usage_rollup, public.budget_window, public.tag_set, public.shard_mark, public.dead_letter
    TO {APP};
GRANT SELECT, INSERT, UPDATE ON public.usage_rollup, public.budget_window, public.shard_mark TO {RECORDER};
GRANT SELECT, INSERT ON public.tag_set, public.dead_letter TO {RECORDER};
"""

DROP = """
DROP TABLE public.usage_rollup, public.budget_window, public.tag_set, public.shard_mark, public.dead_letter;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_ledger")]
    operations = [migrations.RunSQL(SUMS, DROP)]
