"""Django's entry for the books."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """The books."""

    name = "billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the granting of rights after each migration which tables are not simply the app's."""
        from billing.rights import RIGHTS
        from tenants.dbroles import register_rights

        for table, (app, recorder) in RIGHTS.items():
            register_rights(table, app=app, recorder=recorder)
