"""The ledger as SQL: PostgreSQL's own means (partitions, rights, triggers), so no ORM stands between.

Text that is an id is compared byte by byte (collation ``C``): it sorts the same everywhere, and all rows of a hold are
a prefix range of the primary key.
"""

from __future__ import annotations

from django.db import migrations

from billing.migrations._names import APP, BUCKET_COLUMNS, RECORDER

LEDGER_ROW = f"""
CREATE TABLE public.ledger_row (
    event_id text COLLATE "C" NOT NULL,
    month date NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('settled', 'expired', 'correction', 'released')),
    basis text COLLATE "C" NOT NULL CHECK (basis IN ('reported', 'estimated', 'unresolved', 'none')),
    corrects text COLLATE "C" NOT NULL DEFAULT '',
    tenant_id text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL CHECK (mode IN ('test', 'live')),
    shard smallint NOT NULL,
    customer_id text COLLATE "C" NOT NULL DEFAULT '',
    key_id text COLLATE "C" NOT NULL DEFAULT '',
    account_id text COLLATE "C" NOT NULL DEFAULT '',
    provider text COLLATE "C" NOT NULL DEFAULT '',
    dialect text COLLATE "C" NOT NULL DEFAULT '',
    model text COLLATE "C" NOT NULL DEFAULT '',
    response_model text COLLATE "C" NOT NULL DEFAULT '',
    request_id text COLLATE "C" NOT NULL,
    hold_id text COLLATE "C" NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    tag_set_id text COLLATE "C" NOT NULL DEFAULT '',
    run_id text COLLATE "C" NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    booked_at timestamptz NOT NULL,
    upstream_status integer,
    upstream_request_id text COLLATE "C" NOT NULL DEFAULT '',
    "end" text COLLATE "C" NOT NULL DEFAULT '',
    stream boolean NOT NULL DEFAULT false,
    bound_class text COLLATE "C" NOT NULL DEFAULT '',
    quoted_input_tokens bigint NOT NULL DEFAULT 0,
    output_cap bigint NOT NULL DEFAULT 0,
    output_cap_source text COLLATE "C" NOT NULL DEFAULT '',
    quote_cost_nanousd bigint NOT NULL DEFAULT 0,
    quote_charge_nanousd bigint NOT NULL DEFAULT 0,
    cost_nanousd bigint NOT NULL,
    charge_nanousd bigint NOT NULL,
    price_id text COLLATE "C" NOT NULL DEFAULT '',
    markup_bp bigint NOT NULL DEFAULT 0,
    markup_fixed_nanousd bigint NOT NULL DEFAULT 0,
{BUCKET_COLUMNS}
    extras jsonb NOT NULL DEFAULT '{{}}',
    draws jsonb NOT NULL DEFAULT '[]',
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (month, event_id)
) PARTITION BY RANGE (month);
CREATE INDEX ledger_row_tenant ON public.ledger_row (tenant_id, mode, started_at DESC, event_id DESC);
CREATE INDEX ledger_row_customer
    ON public.ledger_row (tenant_id, mode, customer_id, started_at DESC, event_id DESC);
CREATE INDEX ledger_row_request ON public.ledger_row (request_id);
CREATE INDEX ledger_row_recorded ON public.ledger_row USING brin (recorded_at) WITH (pages_per_range = 32);
REVOKE ALL ON public.ledger_row FROM PUBLIC, {APP}, {RECORDER};
GRANT SELECT ON public.ledger_row TO {APP};
GRANT SELECT, INSERT ON public.ledger_row TO {RECORDER};
"""

# A second lock behind the missing rights: not even the owner changes a row. Old months leave whole, by DETACH.
APPEND_ONLY = f"""
CREATE FUNCTION public.farebox_ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger rows are never changed: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'book a correction';
END $$;
REVOKE ALL ON FUNCTION public.farebox_ledger_is_append_only() FROM PUBLIC, {APP}, {RECORDER};
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON public.ledger_row
    FOR EACH ROW EXECUTE FUNCTION public.farebox_ledger_is_append_only();
"""

# A month is made beside the ledger and then attached: CREATE ... PARTITION OF would lock out every reader meanwhile.
# The range of months is bounded, so that a forged event id cannot make tables without end.
ENSURE_MONTH = f"""
CREATE FUNCTION public.farebox_ensure_ledger_month(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first date := date_trunc('month', day)::date;
    name text := 'ledger_row_' || to_char(first, 'YYYYMM');
BEGIN
    IF day IS NULL OR first < DATE '2024-01-01' OR first > (now() + interval '6 months')::date THEN
        RAISE EXCEPTION 'no ledger month can be made for %', day USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('farebox_ensure_ledger_month', 0));
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.ledger_row INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format('ALTER TABLE public.ledger_row ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   name, first, (first + interval '1 month')::date);
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, {APP}, {RECORDER}', name);
    EXECUTE format('GRANT SELECT ON public.%I TO {APP}, {RECORDER}', name);
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION public.farebox_ensure_ledger_month(date) FROM PUBLIC, {APP}, {RECORDER};
GRANT EXECUTE ON FUNCTION public.farebox_ensure_ledger_month(date) TO {APP}, {RECORDER};
SELECT public.farebox_ensure_ledger_month((now() + make_interval(months => ahead))::date)
    FROM generate_series(0, 2) AS ahead;
"""

DROP = """
DROP TABLE public.ledger_row;
DROP FUNCTION public.farebox_ensure_ledger_month(date);
DROP FUNCTION public.farebox_ledger_is_append_only();
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [migrations.RunSQL(LEDGER_ROW + APPEND_ONLY + ENSURE_MONTH, DROP)]
