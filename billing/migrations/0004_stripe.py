"""A tenant's Stripe account, its meters there, and who its customers are there."""

import billing.models.customer_map
import billing.models.stripe_connection
import billing.models.stripe_meter
import django.db.models.deletion
from django.db import migrations, models

# A row refers to rows of its own tenant and mode, or PostgreSQL refuses it (I7).
SCOPED = [
    ("stripe_meter", "connection_id", "stripe_connection"),
    ("customer_map", "connection_id", "stripe_connection"),
    ("customer_map", "customer_id", "tenants_customer"),
]


def scoped_key(table: str, column: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{column}_scope"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}, tenant_id, mode) "
        f"REFERENCES {target} (id, tenant_id, mode) DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0003_models'),
        ('tenants', '0004_outbox_object'),
    ]

    operations = [
        migrations.CreateModel(
            name='StripeConnection',
            fields=[
                ('id', models.CharField(default=billing.models.stripe_connection.new_connection_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('kind', models.CharField(choices=[('restricted_key', 'Restricted Key'), ('connect', 'Connect')], default='restricted_key', max_length=16)),
                ('secret', models.TextField(blank=True)),
                ('key_last4', models.CharField(blank=True, max_length=4)),
                ('stripe_account', models.CharField(blank=True, max_length=64)),
                ('api_version', models.CharField(max_length=40)),
                ('endpoint_public_id', models.CharField(default=billing.models.stripe_connection.new_endpoint_public_id, max_length=40, unique=True)),
                ('webhook_endpoint_id', models.CharField(blank=True, max_length=64)),
                ('webhook_secrets', models.JSONField(blank=True, default=list)),
                ('status', models.CharField(choices=[('new', 'New'), ('ok', 'Ok'), ('broken', 'Broken'), ('disconnected', 'Disconnected')], default='new', max_length=16)),
                ('why', models.CharField(blank=True, max_length=300)),
                ('scopes_missing', models.JSONField(blank=True, default=list)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('broken_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stripe_connections', to='tenants.tenant')),
            ],
            options={
                'db_table': 'stripe_connection',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='CustomerMap',
            fields=[
                ('id', models.CharField(default=billing.models.customer_map.new_map_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('stripe_customer_id', models.CharField(blank=True, max_length=64)),
                ('subscription_id', models.CharField(blank=True, max_length=64)),
                ('subscription_item_id', models.CharField(blank=True, max_length=64)),
                ('subscription_status', models.CharField(blank=True, max_length=32)),
                ('currency', models.CharField(default='usd', max_length=3)),
                ('period_start', models.DateTimeField(blank=True, null=True)),
                ('period_end', models.DateTimeField(blank=True, null=True)),
                ('state', models.CharField(choices=[('mapped', 'Mapped'), ('unmapped', 'Unmapped'), ('no_subscription', 'No Subscription'), ('deleted', 'Deleted')], default='unmapped', max_length=16)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('customer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='stripe_map', to='tenants.customer')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='customer_maps', to='tenants.tenant')),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='customer_maps', to='billing.stripeconnection')),
            ],
            options={
                'db_table': 'customer_map',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='StripeMeter',
            fields=[
                ('id', models.CharField(default=billing.models.stripe_meter.new_meter_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('currency', models.CharField(max_length=3)),
                ('line', models.CharField(default='usage', max_length=40)),
                ('unit_minor', models.IntegerField(default=1)),
                ('stripe_meter_id', models.CharField(max_length=64)),
                ('event_name', models.CharField(max_length=100)),
                ('product_id', models.CharField(blank=True, max_length=64)),
                ('price_id', models.CharField(blank=True, max_length=64)),
                ('adopted', models.BooleanField(default=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('broken', 'Broken'), ('archived', 'Archived')], default='active', max_length=16)),
                ('why', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='meters', to='billing.stripeconnection')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stripe_meters', to='tenants.tenant')),
            ],
            options={
                'db_table': 'stripe_meter',
                'ordering': ['currency', 'line', '-created_at'],
            },
        ),
        migrations.AddConstraint(
            model_name='stripeconnection',
            constraint=models.UniqueConstraint(fields=('tenant', 'mode'), name='stripe_connection_one'),
        ),
        migrations.AddConstraint(
            model_name='stripeconnection',
            constraint=models.UniqueConstraint(fields=('id', 'tenant', 'mode'), name='stripe_connection_scope'),
        ),
        migrations.AddConstraint(
            model_name='stripeconnection',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='stripe_connection_mode'),
        ),
        migrations.AddConstraint(
            model_name='stripeconnection',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['restricted_key', 'connect'])), name='stripe_connection_kind'),
        ),
        migrations.AddConstraint(
            model_name='stripeconnection',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['new', 'ok', 'broken', 'disconnected'])), name='stripe_connection_status'),
        ),
        migrations.AddIndex(
            model_name='customermap',
            index=models.Index(fields=['tenant', 'mode', '-created_at'], name='customer_map_newest'),
        ),
        migrations.AddIndex(
            model_name='customermap',
            index=models.Index(fields=['checked_at'], name='customer_map_stalest'),
        ),
        migrations.AddConstraint(
            model_name='customermap',
            constraint=models.UniqueConstraint(condition=models.Q(('stripe_customer_id', ''), _negated=True), fields=('connection', 'stripe_customer_id'), name='customer_map_stripe_customer'),
        ),
        migrations.AddConstraint(
            model_name='customermap',
            constraint=models.UniqueConstraint(fields=('id', 'tenant', 'mode'), name='customer_map_scope'),
        ),
        migrations.AddConstraint(
            model_name='customermap',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='customer_map_mode'),
        ),
        migrations.AddConstraint(
            model_name='customermap',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['mapped', 'unmapped', 'no_subscription', 'deleted'])), name='customer_map_state'),
        ),
        migrations.AddConstraint(
            model_name='customermap',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'unmapped'), models.Q(('stripe_customer_id', ''), _negated=True), _connector='OR'), name='customer_map_names_its_customer'),
        ),
        migrations.AddConstraint(
            model_name='customermap',
            constraint=models.CheckConstraint(condition=models.Q(('currency__regex', '^[a-z]{3}$')), name='customer_map_currency'),
        ),
        migrations.AddConstraint(
            model_name='stripemeter',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'archived'), _negated=True), fields=('connection', 'currency', 'line'), name='stripe_meter_one_per_line'),
        ),
        migrations.AddConstraint(
            model_name='stripemeter',
            constraint=models.UniqueConstraint(fields=('connection', 'stripe_meter_id'), name='stripe_meter_once'),
        ),
        migrations.AddConstraint(
            model_name='stripemeter',
            constraint=models.UniqueConstraint(fields=('id', 'tenant', 'mode'), name='stripe_meter_scope'),
        ),
        migrations.AddConstraint(
            model_name='stripemeter',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='stripe_meter_mode'),
        ),
        migrations.AddConstraint(
            model_name='stripemeter',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['active', 'broken', 'archived'])), name='stripe_meter_status'),
        ),
        migrations.AddConstraint(
            model_name='stripemeter',
            constraint=models.CheckConstraint(condition=models.Q(('unit_minor__gt', 0)), name='stripe_meter_unit'),
        ),
        migrations.AddConstraint(
            model_name='stripemeter',
            constraint=models.CheckConstraint(condition=models.Q(('currency__regex', '^[a-z]{3}$')), name='stripe_meter_currency'),
        ),
        *(scoped_key(*row) for row in SCOPED),
    ]
