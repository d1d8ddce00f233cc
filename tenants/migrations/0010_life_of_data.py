"""Where audit entries came from, when customers were erased and tenants closed, and how long things are kept."""


import tenants.origin
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0009_restrictions'),
    ]

    operations = [
        migrations.AddField(
            model_name='auditentry',
            name='address',
            field=models.CharField(blank=True, default=tenants.origin.current_address, max_length=45),
        ),
        migrations.AddField(
            model_name='customer',
            name='erased_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='tenant',
            name='audit_kept_days',
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name='tenant',
            name='closed_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='tenant',
            name='tags_kept_days',
            field=models.IntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('audit_kept_days__gte', 0), ('tags_kept_days__gte', 0)), name='tenant_retention'),
        ),
    ]
