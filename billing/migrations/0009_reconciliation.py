"""Hours compared with Stripe, invoices of periods, and months that were closed for good."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


# A row refers to rows of its own tenant and mode, or PostgreSQL refuses it (I7).
SCOPED = [
    ("recon_row", "customer_id", "tenants_customer"),
    ("recon_row", "meter_id", "stripe_meter"),
    ("period_invoice", "customer_id", "tenants_customer"),
    ("period_invoice", "connection_id", "stripe_connection"),
    ("period_invoice", "meter_id", "stripe_meter"),
]

CLOSED = """
CREATE FUNCTION public.farebox_month_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed month is never changed: % of % refused', TG_OP, OLD.month
        USING ERRCODE = 'insufficient_privilege', HINT = 'book a correction in the month that runs';
END $$;
CREATE TRIGGER closed BEFORE UPDATE OR DELETE ON public.month_close
    FOR EACH ROW EXECUTE FUNCTION public.farebox_month_is_closed();
"""
REOPEN = "DROP TRIGGER closed ON public.month_close; DROP FUNCTION public.farebox_month_is_closed();"


def scoped_key(table: str, column: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{column}_scope"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}, tenant_id, mode) "
        f"REFERENCES {target} (id, tenant_id, mode) DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0008_ledger_link'),
        ('tenants', '0006_cost_side'),
    ]

    operations = [
        migrations.CreateModel(
            name='MonthClose',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('month', models.DateField()),
                ('closed_at', models.DateTimeField()),
                ('recorded_until', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ledger_nanousd', models.DecimalField(decimal_places=0, max_digits=40)),
                ('figures', models.JSONField()),
                ('differences', models.JSONField()),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='month_closes', to='tenants.tenant')),
            ],
            options={
                'db_table': 'month_close',
                'ordering': ['-month'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'mode', 'month'), name='month_close_one'), models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='month_close_mode'), models.CheckConstraint(condition=models.Q(('month__day', 1)), name='month_close_first_day')],
            },
        ),
        migrations.CreateModel(
            name='PeriodInvoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('invoice_id', models.CharField(max_length=64)),
                ('status', models.CharField(max_length=20)),
                ('currency', models.CharField(max_length=3)),
                ('period_start', models.DateTimeField()),
                ('period_end', models.DateTimeField()),
                ('due_before', models.DateTimeField(null=True)),
                ('finalized_at', models.DateTimeField(null=True)),
                ('quantity_units', models.DecimalField(decimal_places=12, default=0, max_digits=40)),
                ('amount_minor', models.BigIntegerField(default=0)),
                ('pushed_units', models.BigIntegerField(default=0)),
                ('unproven_pushes', models.IntegerField(default=0)),
                ('lines', models.JSONField(default=list)),
                ('checked_at', models.DateTimeField()),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.stripeconnection')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='period_invoices', to='tenants.customer')),
                ('meter', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.stripemeter')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'db_table': 'period_invoice',
                'ordering': ['-period_end', '-id'],
                'indexes': [models.Index(fields=['tenant', 'mode', '-period_end'], name='period_invoice_newest')],
                'constraints': [models.UniqueConstraint(fields=('connection', 'invoice_id'), name='period_invoice_once'), models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='period_invoice_mode'), models.CheckConstraint(condition=models.Q(('period_end__gt', models.F('period_start'))), name='period_invoice_period')],
            },
        ),
        migrations.CreateModel(
            name='ReconRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('hour', models.DateTimeField()),
                ('ledger_nanousd', models.BigIntegerField()),
                ('pushed_units', models.BigIntegerField()),
                ('doubtful_units', models.BigIntegerField(default=0)),
                ('stripe_units', models.DecimalField(decimal_places=12, max_digits=40)),
                ('state', models.CharField(choices=[('ok', 'Ok'), ('lagging', 'Lagging'), ('missing', 'Missing'), ('excess', 'Excess'), ('foreign', 'Foreign')], max_length=8)),
                ('why', models.CharField(blank=True, max_length=40)),
                ('since', models.DateTimeField()),
                ('checked_at', models.DateTimeField()),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recon_rows', to='tenants.customer')),
                ('fix', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='fixes', to='billing.push')),
                ('meter', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recon_rows', to='billing.stripemeter')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recon_rows', to='tenants.tenant')),
            ],
            options={
                'db_table': 'recon_row',
                'ordering': ['-hour', '-id'],
                'indexes': [models.Index(fields=['tenant', 'mode', '-hour', '-id'], name='recon_row_newest'), models.Index(condition=models.Q(('state', 'ok'), _negated=True), fields=['state'], name='recon_row_differing')],
                'constraints': [models.UniqueConstraint(fields=('customer', 'meter', 'hour'), name='recon_row_one_an_hour'), models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='recon_row_mode'), models.CheckConstraint(condition=models.Q(('state__in', ['ok', 'lagging', 'missing', 'excess', 'foreign'])), name='recon_row_state')],
            },
        ),
        *(scoped_key(*row) for row in SCOPED),
        migrations.RunSQL(CLOSED, REOPEN),
    ]
