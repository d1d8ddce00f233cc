"""A month's partition is closed to direct questions from its first moment: row-level security, no policy."""

from __future__ import annotations

from django.db import migrations

from billing.migrations._names import APP, RECORDER

ENSURE_MONTH = f"""
CREATE OR REPLACE FUNCTION public.farebox_ensure_ledger_month(day date) RETURNS boolean
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
    -- Asked directly it shows nobody anything; asked through the ledger, what the ledger's policies allow.
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    RETURN true;
END $$;
"""  # noqa: S608  # the roles' names out of the settings


class Migration(migrations.Migration):
    """Makes the function anew."""

    dependencies = [("billing", "0011_ledger_later_truths")]
    operations = [migrations.RunSQL(ENSURE_MONTH, migrations.RunSQL.noop)]
