"""Pushes, their attempts, cursors and rates; what a push says is frozen by PostgreSQL itself."""

import billing.models.push
import billing.models.push_destination
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


# A row refers to rows of its own tenant and mode, or PostgreSQL refuses it (I7): no test row reaches a live account.
SCOPED = [
    ("push", "customer_id", "tenants_customer"),
    ("push", "connection_id", "stripe_connection"),
    ("push", "meter_id", "stripe_meter"),
    ("push", "destination_id", "push_destination"),
    ("billing_cursor", "customer_id", "tenants_customer"),
    ("period_close", "customer_id", "tenants_customer"),
]

# Same identifier, other value: the sink would call it a duplicate and the difference would be lost.
FROZEN = """
CREATE FUNCTION public.farebox_push_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.identifier, OLD.value_units, OLD.stamp_at, OLD.minute_no, OLD.tenant_id, OLD.mode, OLD.customer_id,
        OLD.sink, OLD.target_id, OLD.line, OLD.currency, OLD.unit_minor, OLD.bucket_start, OLD.bucket_end, OLD.seq)
       IS DISTINCT FROM
       (NEW.identifier, NEW.value_units, NEW.stamp_at, NEW.minute_no, NEW.tenant_id, NEW.mode, NEW.customer_id,
        NEW.sink, NEW.target_id, NEW.line, NEW.currency, NEW.unit_minor, NEW.bucket_start, NEW.bucket_end, NEW.seq)
       OR OLD.connection_id IS DISTINCT FROM NEW.connection_id OR OLD.meter_id IS DISTINCT FROM NEW.meter_id
       OR OLD.destination_id IS DISTINCT FROM NEW.destination_id
       OR OLD.replaces_id IS DISTINCT FROM NEW.replaces_id
       OR (OLD.first_attempt_at IS NOT NULL AND (OLD.first_attempt_at, OLD.stripe_customer_id)
           IS DISTINCT FROM (NEW.first_attempt_at, NEW.stripe_customer_id)) THEN
        RAISE EXCEPTION 'what a push says is never changed: %', OLD.identifier
            USING ERRCODE = 'insufficient_privilege', HINT = 'replace it by another push';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON public.push
    FOR EACH ROW EXECUTE FUNCTION public.farebox_push_is_frozen();
"""
THAW = "DROP TRIGGER frozen ON public.push; DROP FUNCTION public.farebox_push_is_frozen();"


def scoped_key(table: str, column: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{column}_scope"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}, tenant_id, mode) "
        f"REFERENCES {target} (id, tenant_id, mode) DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0006_unsealed'),
        ('tenants', '0006_cost_side'),
    ]

    operations = [
        migrations.CreateModel(
            name='PeriodClose',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('closed_until', models.DateTimeField()),
                ('customer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='period_close', to='tenants.customer')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'db_table': 'period_close',
            },
        ),
        migrations.CreateModel(
            name='PushDestination',
            fields=[
                ('id', models.CharField(default=billing.models.push_destination.new_destination_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('url', models.CharField(max_length=500)),
                ('secret', models.TextField()),
                ('currency', models.CharField(default='usd', max_length=3)),
                ('unit_minor', models.IntegerField(default=1)),
                ('status', models.CharField(choices=[('active', 'Active'), ('broken', 'Broken'), ('disabled', 'Disabled')], default='active', max_length=8)),
                ('why', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='push_destinations', to='tenants.tenant')),
            ],
            options={
                'db_table': 'push_destination',
            },
        ),
        migrations.CreateModel(
            name='Push',
            fields=[
                ('id', models.CharField(default=billing.models.push.new_push_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('sink', models.CharField(choices=[('stripe', 'Stripe'), ('webhook', 'Webhook')], default='stripe', max_length=8)),
                ('target_id', models.CharField(max_length=32)),
                ('line', models.CharField(default='usage', max_length=40)),
                ('currency', models.CharField(max_length=3)),
                ('unit_minor', models.IntegerField()),
                ('bucket_start', models.DateTimeField()),
                ('bucket_end', models.DateTimeField()),
                ('seq', models.IntegerField()),
                ('identifier', models.CharField(max_length=100, unique=True)),
                ('value_units', models.BigIntegerField()),
                ('stamp_at', models.DateTimeField()),
                ('minute_no', models.BigIntegerField()),
                ('stripe_customer_id', models.CharField(blank=True, max_length=64)),
                ('charge_nanousd', models.BigIntegerField()),
                ('row_count', models.BigIntegerField()),
                ('cumulative_atto', models.DecimalField(decimal_places=0, max_digits=60)),
                ('recorded_from', models.DateTimeField(null=True)),
                ('recorded_until', models.DateTimeField(null=True)),
                ('late_from', models.DateTimeField(null=True)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('inflight', 'Inflight'), ('accepted', 'Accepted'), ('confirmed', 'Confirmed'), ('retry', 'Retry'), ('ambiguous', 'Ambiguous'), ('held', 'Held'), ('rejected', 'Rejected'), ('failed', 'Failed'), ('void', 'Void')], max_length=10)),
                ('why', models.CharField(blank=True, max_length=40)),
                ('detail', models.CharField(blank=True, max_length=300)),
                ('attempts', models.IntegerField(default=0)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('namespace', models.CharField(blank=True, max_length=2)),
                ('first_attempt_at', models.DateTimeField(null=True)),
                ('is_doubtful', models.BooleanField(default=False)),
                ('accepted_at', models.DateTimeField(null=True)),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('absent_since', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('connection', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='pushes', to='billing.stripeconnection')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pushes', to='tenants.customer')),
                ('meter', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='pushes', to='billing.stripemeter')),
                ('replaces', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaced_by', to='billing.push')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pushes', to='tenants.tenant')),
                ('destination', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='pushes', to='billing.pushdestination')),
            ],
            options={
                'db_table': 'push',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='BillingCursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('line', models.CharField(default='usage', max_length=40)),
                ('currency', models.CharField(max_length=3)),
                ('sealed_nanousd', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('cumulative_atto', models.DecimalField(decimal_places=0, default=0, max_digits=60)),
                ('pushed_atto', models.DecimalField(decimal_places=0, default=0, max_digits=60)),
                ('is_owed', models.BooleanField(default=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'db_table': 'billing_cursor',
                'indexes': [models.Index(condition=models.Q(('is_owed', True)), fields=['tenant'], name='billing_cursor_owed')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'mode', 'customer', 'line', 'currency'), name='billing_cursor_one'), models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='billing_cursor_mode')],
            },
        ),
        migrations.CreateModel(
            name='ExchangeRate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('currency', models.CharField(max_length=3)),
                ('day', models.DateField()),
                ('rate_nano', models.BigIntegerField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exchange_rates', to='tenants.tenant')),
            ],
            options={
                'db_table': 'exchange_rate',
                'ordering': ['currency', '-day'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'mode', 'currency', 'day'), name='exchange_rate_a_day'), models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='exchange_rate_mode'), models.CheckConstraint(condition=models.Q(('currency__regex', '^[a-z]{3}$'), models.Q(('currency', 'usd'), _negated=True)), name='exchange_rate_currency'), models.CheckConstraint(condition=models.Q(('rate_nano__gt', 0)), name='exchange_rate_above_zero')],
            },
        ),
        migrations.CreateModel(
            name='PushAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.IntegerField()),
                ('key_last4', models.CharField(blank=True, max_length=4)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
                ('verdict', models.CharField(blank=True, max_length=12)),
                ('code', models.CharField(blank=True, max_length=80)),
                ('reason', models.CharField(blank=True, max_length=80)),
                ('detail', models.CharField(blank=True, max_length=300)),
                ('status', models.IntegerField(null=True)),
                ('sink_request_id', models.CharField(blank=True, max_length=80)),
                ('push', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tries', to='billing.push')),
            ],
            options={
                'db_table': 'push_attempt',
                'ordering': ['number'],
                'constraints': [models.UniqueConstraint(fields=('push', 'number'), name='push_attempt_number')],
            },
        ),
        migrations.AddConstraint(
            model_name='pushdestination',
            constraint=models.UniqueConstraint(fields=('tenant', 'mode'), name='push_destination_one'),
        ),
        migrations.AddConstraint(
            model_name='pushdestination',
            constraint=models.UniqueConstraint(fields=('id', 'tenant', 'mode'), name='push_destination_scope'),
        ),
        migrations.AddConstraint(
            model_name='pushdestination',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='push_destination_mode'),
        ),
        migrations.AddConstraint(
            model_name='pushdestination',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['active', 'broken', 'disabled'])), name='push_destination_status'),
        ),
        migrations.AddConstraint(
            model_name='pushdestination',
            constraint=models.CheckConstraint(condition=models.Q(('unit_minor__gt', 0)), name='push_destination_unit'),
        ),
        migrations.AddIndex(
            model_name='push',
            index=models.Index(fields=['tenant', 'mode', '-created_at', '-id'], name='push_newest'),
        ),
        migrations.AddIndex(
            model_name='push',
            index=models.Index(fields=['tenant', 'mode', 'state'], name='push_state_of_scope'),
        ),
        migrations.AddIndex(
            model_name='push',
            index=models.Index(condition=models.Q(('state__in', ['pending', 'retry', 'inflight'])), fields=['due_at'], name='push_due'),
        ),
        migrations.AddIndex(
            model_name='push',
            index=models.Index(fields=['customer', 'target_id', 'stamp_at'], name='push_period'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.UniqueConstraint(fields=('customer', 'target_id', 'minute_no'), name='push_one_a_minute'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.UniqueConstraint(fields=('customer', 'target_id', 'bucket_start', 'seq'), name='push_one_a_bucket_and_seq'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='push_mode'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'inflight', 'accepted', 'confirmed', 'retry', 'ambiguous', 'held', 'rejected', 'failed', 'void'])), name='push_state'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('connection__isnull', False), ('meter', models.F('target_id')), ('sink', 'stripe')), models.Q(('connection__isnull', True), ('destination', models.F('target_id')), ('sink', 'webhook')), _connector='OR'), name='push_names_its_sink'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('value_units', 0), _negated=True), ('value_units__range', (-999999999999999, 999999999999999))), name='push_value_digits'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.CheckConstraint(condition=models.Q(('bucket_end__gt', models.F('bucket_start'))), name='push_bucket'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('sink', 'stripe'), _negated=True), ('state__in', ['held', 'void']), models.Q(('stripe_customer_id', ''), _negated=True), _connector='OR'), name='push_names_its_customer'),
        ),
        *(scoped_key(*row) for row in SCOPED),
        migrations.RunSQL(FROZEN, THAW),
    ]
