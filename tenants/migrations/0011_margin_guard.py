from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0010_life_of_data")]

    operations = [
        migrations.AddField(
            model_name="tenantsettings",
            name="margin_guard",
            field=models.CharField(
                choices=[("off", "Off"), ("warn", "Warn"), ("refuse", "Refuse")], default="off", max_length=8
            ),
        ),
        migrations.AddConstraint(
            model_name="tenantsettings",
            constraint=models.CheckConstraint(
                condition=models.Q(("margin_guard__in", ["off", "warn", "refuse"])),
                name="settings_margin_guard",
            ),
        ),
    ]
