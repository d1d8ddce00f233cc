from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tenants", "0006_cost_side"),
    ]

    operations = [
        migrations.AddField(
            model_name="provideraccount",
            name="counts_exactly",
            field=models.BooleanField(default=False),
        ),
    ]
