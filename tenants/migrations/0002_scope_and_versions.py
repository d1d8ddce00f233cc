"""What Django cannot say: the version sequence, and foreign keys that keep tenants and modes apart."""

from __future__ import annotations

from django.db import migrations

# A row refers to a customer or a key of its own tenant and mode, or PostgreSQL refuses it (I7).
SCOPED = [
    ("tenants_key", "customer_id", "tenants_customer"),
    ("tenants_budget", "customer_id", "tenants_customer"),
    ("tenants_budget", "key_id", "tenants_key"),
]


def scoped_key(table: str, column: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{column}_scope"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}, tenant_id, mode) "
        f"REFERENCES {target} (id, tenant_id, mode) DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE SEQUENCE farebox_policy_version", "DROP SEQUENCE farebox_policy_version"),
        *(scoped_key(*row) for row in SCOPED),
    ]
