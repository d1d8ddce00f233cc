"""The Django app and what it does when the schema has changed."""

from __future__ import annotations

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class TenantsConfig(AppConfig):
    """The control plane's rows."""

    name = "tenants"
    verbose_name = "Tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, and give the roles their rights again whenever the owner has migrated."""
        from tenants import checks, reach, signing  # noqa: F401 - both register by being imported

        signing.connect()
        post_migrate.connect(_grant_after_migrate, sender=self, dispatch_uid="tenants.dbroles")


def _grant_after_migrate(*, using: str, **_: object) -> None:
    from tenants import dbroles

    if using == dbroles.OWNER_ALIAS:
        dbroles.grant_all(connections[using])
