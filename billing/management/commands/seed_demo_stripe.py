"""``manage.py seed_demo_stripe``: connects the demo tenant of ``make run`` to its simulated Stripe."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from billing.stripe.demo import connect_demo
from tenants.demo import recall_demo
from tenants.errors import TenantsError
from tenants.models import Tenant


class Command(BaseCommand):
    """Connect the demo tenant, or mend its connection."""

    help = "Connect the demo tenant to a simulated Stripe. Development only; repeating it changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Find the demo tenant and connect it; refuse in production."""
        if settings.FAREBOX_ENV == "production":
            raise CommandError("seed_demo_stripe is for development; FAREBOX_ENV is production")
        demo = recall_demo(settings.FAREBOX_HOME / "demo.json")
        if demo is None:
            raise CommandError("there is no demo tenant; run seed_demo first")
        try:
            mapping = connect_demo(Tenant.objects.get(pk=demo.tenant), demo.customer)
        except TenantsError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{demo.customer} is {mapping.stripe_customer_id}: {mapping.state}")
