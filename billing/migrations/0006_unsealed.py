"""What is billable and in no push yet, by customer and second: the recorder adds to it in the commit that books."""

from __future__ import annotations

from django.db import migrations, models

from billing.migrations._names import APP, RECORDER

# Rows come and go within hours; room in the page keeps the additions off the index.
UNSEALED = f"""
CREATE TABLE public.unsealed (
    tenant_id text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL CHECK (mode IN ('test', 'live')),
    customer_id text COLLATE "C" NOT NULL,
    line text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    row_count bigint NOT NULL,
    charge_nanousd bigint NOT NULL,
    recorded_from timestamptz NOT NULL DEFAULT now(),
    recorded_until timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, mode, customer_id, line, at)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
REVOKE ALL ON public.unsealed FROM PUBLIC, {APP}, {RECORDER};
GRANT SELECT, INSERT, UPDATE ON public.unsealed TO {RECORDER};
GRANT SELECT, UPDATE, DELETE ON public.unsealed TO {APP};
"""

# What was booked before there was sealing waits like the rest. A correction of an expiry goes with it, as at booking.
BACKFILL = """
INSERT INTO public.unsealed (tenant_id, mode, customer_id, line, at, row_count, charge_nanousd)
SELECT tenant_id, mode, customer_id, 'usage', date_trunc('second', at), count(*), sum(charge_nanousd)::bigint
FROM (
    SELECT tenant_id, mode, customer_id, CASE corrects WHEN '' THEN started_at ELSE booked_at END AS at, charge_nanousd
    FROM public.ledger_row WHERE basis <> 'unresolved' AND corrects NOT LIKE '%.expired.%'
    UNION ALL
    SELECT tenant_id, mode, max(customer_id), max(booked_at) FILTER (WHERE corrects <> ''), sum(charge_nanousd)
    FROM public.ledger_row WHERE basis = 'unresolved' OR corrects LIKE '%.expired.%'
    GROUP BY tenant_id, mode, coalesce(nullif(corrects, ''), event_id)
    HAVING bool_or(corrects = '') AND bool_or(corrects <> '')
) AS billable
GROUP BY 1, 2, 3, 5;
"""


class Migration(migrations.Migration):

    dependencies = [('billing', '0005_calibration')]

    operations = [
        migrations.RunSQL(UNSEALED + BACKFILL, 'DROP TABLE public.unsealed'),
        migrations.CreateModel(
            name='Unsealed',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'mode', 'customer_id', 'line', 'at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.TextField()),
                ('mode', models.TextField()),
                ('customer_id', models.TextField()),
                ('line', models.TextField()),
                ('at', models.DateTimeField()),
                ('row_count', models.BigIntegerField()),
                ('charge_nanousd', models.BigIntegerField()),
                ('recorded_from', models.DateTimeField()),
                ('recorded_until', models.DateTimeField()),
            ],
            options={'db_table': 'unsealed', 'managed': False},
        ),
    ]
