"""The chain of each tenant's rows: what is booked already is chained here, the recorder goes on from there."""

from __future__ import annotations

from django.db import migrations

from billing.ledger.chain_sql import APPEND, ROW_DIGEST
from billing.migrations._names import APP, RECORDER

LEDGER_LINK = f"""
CREATE TABLE public.ledger_link (
    tenant_id text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL CHECK (mode IN ('test', 'live')),
    number bigint NOT NULL CHECK (number > 0),
    version smallint NOT NULL,
    previous bytea NOT NULL CHECK (length(previous) = 32),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    row_count bigint NOT NULL CHECK (row_count > 0),
    first_epoch bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_epoch bigint NOT NULL,
    last_seq bigint NOT NULL,
    event_ids text[] COLLATE "C" NOT NULL,
    row_digests bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, mode, number)
);
ALTER TABLE public.ledger_link ALTER COLUMN row_digests SET STORAGE EXTERNAL;
REVOKE ALL ON public.ledger_link FROM PUBLIC, {APP}, {RECORDER};
GRANT SELECT ON public.ledger_link TO {APP};
GRANT SELECT, INSERT ON public.ledger_link TO {RECORDER};
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON public.ledger_link
    FOR EACH ROW EXECUTE FUNCTION public.farebox_ledger_is_append_only();
"""

# Rows from before there were links, in their order, up to 4,000 to a link.
_SINGLE = """
SELECT found.tenant_id::text AS tenant_id, found.mode::text AS mode, found.row_count::bigint AS row_count,
       found.first_at::bigint[] AS first_at, found.last_at::bigint[] AS last_at, found.event_ids::text[] AS event_ids,
       found.row_digests::bytea AS row_digests
"""
BACKFILL = f"""
DO $chain$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT tenant_id, mode, place / 4000 AS part, count(*) AS row_count, min(ARRAY[epoch, seq]) AS first_at,
               max(ARRAY[epoch, seq]) AS last_at, array_agg(event_id ORDER BY place) AS event_ids,
               string_agg(row_digest, ''::bytea ORDER BY place) AS row_digests
        FROM (SELECT tenant_id, mode, event_id, epoch, seq, {ROW_DIGEST} AS row_digest,
                     row_number() OVER (PARTITION BY tenant_id, mode ORDER BY epoch, seq, event_id) - 1 AS place
              FROM public.ledger_row) AS ordered
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        {APPEND.format(batches=_SINGLE)};
    END LOOP;
END $chain$;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_pushes")]
    operations = [migrations.RunSQL(LEDGER_LINK + BACKFILL, "DROP TABLE public.ledger_link;")]
