"""Django's entry for the books."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """The books."""

    name = "billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say which tables are not simply the app's, and what is sealed here."""
        from billing.rights import RIGHTS
        from billing.stripe.resealing import reseal_connections
        from tenants.dbroles import register_rights
        from tenants.resealing import register_resealer

        for table, (app, recorder) in RIGHTS.items():
            register_rights(table, app=app, recorder=recorder)
        register_resealer("connections to Stripe", reseal_connections)
