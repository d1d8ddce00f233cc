"""What Stripe tells, credit that was paid for, and who does not pay."""

import billing.models.dunning
import billing.models.prepaid
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# A row refers to rows of its own tenant and mode, or PostgreSQL refuses it (I7).
SCOPED = [
    ("stripe_event", "connection_id", "stripe_connection"),
    ("reported_span", "connection_id", "stripe_connection"),
    ("prepaid_budget", "customer_id", "tenants_customer"),
    ("top_up", "prepaid_id", "prepaid_budget"),
    ("top_up", "connection_id", "stripe_connection"),
    ("prepaid_entry", "prepaid_id", "prepaid_budget"),
    ("prepaid_entry", "top_up_id", "top_up"),
    ("dunning_case", "customer_id", "tenants_customer"),
    ("dunning_case", "connection_id", "stripe_connection"),
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
        ('billing', '0009_reconciliation'),
        ('tenants', '0009_restrictions'),
    ]

    operations = [
        migrations.CreateModel(
            name='HookRefusal',
            fields=[
                ('reason', models.CharField(max_length=16, primary_key=True, serialize=False)),
                ('count', models.BigIntegerField(default=0)),
            ],
            options={
                'db_table': 'hook_refusal',
            },
        ),
        migrations.AddField(
            model_name='stripeconnection',
            name='snapshots_polled_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='stripeconnection',
            name='thin_polled_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='PrepaidBudget',
            fields=[
                ('id', models.CharField(default=billing.models.prepaid.new_prepaid_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('budget', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='prepaid', to='tenants.budget')),
                ('customer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='prepaid', to='tenants.customer')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='prepaid_budgets', to='tenants.tenant')),
            ],
            options={
                'db_table': 'prepaid_budget',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='ReportedSpan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('event_id', models.CharField(max_length=255)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('error_count', models.IntegerField()),
                ('sampled_count', models.IntegerField()),
                ('settled_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.stripeconnection')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'db_table': 'reported_span',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='StripeEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('event_id', models.CharField(max_length=255)),
                ('shape', models.CharField(choices=[('snapshot', 'Snapshot'), ('thin', 'Thin')], max_length=8)),
                ('kind', models.CharField(max_length=120)),
                ('object_id', models.CharField(blank=True, max_length=255)),
                ('via', models.CharField(max_length=8)),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('attempts', models.IntegerField(default=0)),
                ('handled_at', models.DateTimeField(null=True)),
                ('outcome', models.CharField(blank=True, default='', max_length=8)),
                ('why', models.CharField(blank=True, default='', max_length=200)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='billing.stripeconnection')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'db_table': 'stripe_event',
                'ordering': ['-received_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='TopUp',
            fields=[
                ('id', models.CharField(default=billing.models.prepaid.new_top_up_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('amount_minor', models.BigIntegerField()),
                ('currency', models.CharField(default='usd', max_length=3)),
                ('session_id', models.CharField(blank=True, max_length=255)),
                ('payment_intent_id', models.CharField(blank=True, max_length=64)),
                ('url', models.TextField(blank=True)),
                ('status', models.CharField(choices=[('opening', 'Opening'), ('open', 'Open'), ('processing', 'Processing'), ('paid', 'Paid'), ('expired', 'Expired'), ('failed', 'Failed')], default='opening', max_length=10)),
                ('checked_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='top_ups', to='billing.stripeconnection')),
                ('prepaid', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='top_ups', to='billing.prepaidbudget')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='top_ups', to='tenants.tenant')),
            ],
            options={
                'db_table': 'top_up',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='PrepaidEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('kind', models.CharField(choices=[('payment', 'Payment'), ('refund', 'Refund'), ('dispute', 'Dispute')], max_length=8)),
                ('source_id', models.CharField(max_length=64)),
                ('number', models.IntegerField()),
                ('amount_nanousd', models.BigIntegerField()),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('prepaid', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='billing.prepaidbudget')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('top_up', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='billing.topup')),
            ],
            options={
                'db_table': 'prepaid_entry',
                'ordering': ['-at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='DunningCase',
            fields=[
                ('id', models.CharField(default=billing.models.dunning.new_case_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('source_id', models.CharField(max_length=64)),
                ('reason', models.CharField(choices=[('past_due', 'Past Due'), ('unpaid', 'Unpaid'), ('canceled', 'Canceled'), ('disputed', 'Disputed')], max_length=8)),
                ('opened_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(null=True)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.stripeconnection')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dunning_cases', to='tenants.customer')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dunning_cases', to='tenants.tenant')),
            ],
            options={
                'db_table': 'dunning_case',
                'ordering': ['-opened_at', '-id'],
                'indexes': [models.Index(fields=['tenant', 'mode', '-opened_at', '-id'], name='dunning_case_newest')],
                'constraints': [models.UniqueConstraint(fields=('customer', 'connection', 'source_id'), name='dunning_case_once'), models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='dunning_case_mode'), models.CheckConstraint(condition=models.Q(('reason__in', ['past_due', 'unpaid', 'canceled', 'disputed'])), name='dunning_case_reason')],
            },
        ),
        migrations.CreateModel(
            name='DunningPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('test', 'Test'), ('live', 'Live')], max_length=4)),
                ('past_due', models.CharField(choices=[('nothing', 'Nothing'), ('throttle', 'Throttle'), ('cap', 'Cap'), ('suspend', 'Suspend')], default='nothing', max_length=8)),
                ('unpaid', models.CharField(choices=[('nothing', 'Nothing'), ('throttle', 'Throttle'), ('cap', 'Cap'), ('suspend', 'Suspend')], default='nothing', max_length=8)),
                ('canceled', models.CharField(choices=[('nothing', 'Nothing'), ('throttle', 'Throttle'), ('cap', 'Cap'), ('suspend', 'Suspend')], default='nothing', max_length=8)),
                ('disputed', models.CharField(choices=[('nothing', 'Nothing'), ('throttle', 'Throttle'), ('cap', 'Cap'), ('suspend', 'Suspend')], default='nothing', max_length=8)),
                ('throttle_requests_per_minute', models.IntegerField(default=10)),
                ('cap_nanousd', models.BigIntegerField(default=10000000000)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dunning_policies', to='tenants.tenant')),
            ],
            options={
                'db_table': 'dunning_policy',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'mode'), name='dunning_policy_one'), models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='dunning_policy_mode'), models.CheckConstraint(condition=models.Q(('throttle_requests_per_minute__gte', 1)), name='dunning_policy_throttle'), models.CheckConstraint(condition=models.Q(('cap_nanousd__range', (0, 9000000000000000))), name='dunning_policy_cap')],
            },
        ),
        migrations.AddConstraint(
            model_name='prepaidbudget',
            constraint=models.UniqueConstraint(fields=('id', 'tenant', 'mode'), name='prepaid_budget_scope'),
        ),
        migrations.AddConstraint(
            model_name='prepaidbudget',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='prepaid_budget_mode'),
        ),
        migrations.AddConstraint(
            model_name='reportedspan',
            constraint=models.UniqueConstraint(fields=('connection', 'event_id'), name='reported_span_once'),
        ),
        migrations.AddConstraint(
            model_name='reportedspan',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='reported_span_mode'),
        ),
        migrations.AddIndex(
            model_name='stripeevent',
            index=models.Index(condition=models.Q(('handled_at', None)), fields=['due_at'], name='stripe_event_due'),
        ),
        migrations.AddIndex(
            model_name='stripeevent',
            index=models.Index(fields=['handled_at'], name='stripe_event_handled'),
        ),
        migrations.AddConstraint(
            model_name='stripeevent',
            constraint=models.UniqueConstraint(fields=('connection', 'event_id'), name='stripe_event_once'),
        ),
        migrations.AddConstraint(
            model_name='stripeevent',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='stripe_event_mode'),
        ),
        migrations.AddConstraint(
            model_name='stripeevent',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['', 'done', 'ignored', 'failed'])), name='stripe_event_outcome'),
        ),
        migrations.AddIndex(
            model_name='topup',
            index=models.Index(fields=['tenant', 'mode', '-created_at', '-id'], name='top_up_newest'),
        ),
        migrations.AddIndex(
            model_name='topup',
            index=models.Index(fields=['connection', 'payment_intent_id'], name='top_up_payment'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.UniqueConstraint(fields=('id', 'tenant', 'mode'), name='top_up_scope'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.UniqueConstraint(condition=models.Q(('session_id', ''), _negated=True), fields=('connection', 'session_id'), name='top_up_session'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='top_up_mode'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['opening', 'open', 'processing', 'paid', 'expired', 'failed'])), name='top_up_status'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0), ('currency', 'usd')), name='top_up_amount'),
        ),
        migrations.AddIndex(
            model_name='prepaidentry',
            index=models.Index(fields=['prepaid', '-at', '-id'], name='prepaid_entry_newest'),
        ),
        migrations.AddConstraint(
            model_name='prepaidentry',
            constraint=models.UniqueConstraint(fields=('top_up', 'source_id', 'number'), name='prepaid_entry_once'),
        ),
        migrations.AddConstraint(
            model_name='prepaidentry',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['test', 'live'])), name='prepaid_entry_mode'),
        ),
        migrations.AddConstraint(
            model_name='prepaidentry',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['payment', 'refund', 'dispute'])), name='prepaid_entry_kind'),
        ),
        migrations.AddConstraint(
            model_name='prepaidentry',
            constraint=models.CheckConstraint(condition=models.Q(('amount_nanousd', 0), _negated=True), name='prepaid_entry_amount'),
        ),
        *(scoped_key(*row) for row in SCOPED),
    ]
