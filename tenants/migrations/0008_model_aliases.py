from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tenants", "0007_counts_exactly"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenantsettings",
            name="model_aliases",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
