from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tenants", "0008_model_aliases"),
    ]

    operations = [
        migrations.AddField(
            model_name="budget",
            name="kept_by",
            field=models.CharField(blank=True, default="", max_length=16),
        ),
        migrations.AddField(
            model_name="customer",
            name="restricted_requests_per_minute",
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name="customer",
            name="restricted_suspended",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="customer",
            name="restricted_why",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
    ]
