from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tenants", "0004_outbox_object"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenantsettings",
            name="allowances",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
