"""An index of the few rows that are billed at another time than they began: corrections and unresolved calls."""

from __future__ import annotations

from django.db import migrations

# Rows of ordinary calls are not in it and cost nothing more.
INDEX = """
CREATE INDEX ledger_row_later ON public.ledger_row (tenant_id, mode, customer_id, started_at)
    WHERE corrects <> '' OR basis = 'unresolved';
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_events_and_credit")]
    operations = [migrations.RunSQL(INDEX, "DROP INDEX public.ledger_row_later;")]
