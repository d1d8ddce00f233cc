"""How good quotes were: sums per tenant, mode, UTC day, model and class of bound, added to with each batch of rows."""

from __future__ import annotations

from django.db import migrations

from billing.migrations._names import APP, RECORDER

# As with the other sums, room in the page keeps the many updates off the index.
CALIBRATION = f"""
CREATE TABLE public.calibration (
    tenant_id text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    day date NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    bound_class text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    input_bound_tokens numeric NOT NULL,
    input_tokens numeric NOT NULL,
    input_over bigint NOT NULL,
    output_cap_tokens numeric NOT NULL,
    output_tokens numeric NOT NULL,
    output_over bigint NOT NULL,
    held_nanousd numeric NOT NULL,
    cost_nanousd numeric NOT NULL,
    overruns bigint NOT NULL,
    input_shares bigint[] NOT NULL,
    output_shares bigint[] NOT NULL,
    cost_shares bigint[] NOT NULL,
    PRIMARY KEY (tenant_id, mode, day, provider, model, bound_class)
) WITH (fillfactor = 70);
CREATE INDEX calibration_day ON public.calibration (day);
REVOKE ALL ON public.calibration FROM PUBLIC, {APP}, {RECORDER};
GRANT SELECT ON public.calibration TO {APP};
GRANT SELECT, INSERT, UPDATE ON public.calibration TO {RECORDER};
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_stripe")]
    operations = [migrations.RunSQL(CALIBRATION, "DROP TABLE public.calibration;")]
