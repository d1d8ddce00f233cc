"""`manage.py close_tenant SLUG --yes`: shut a tenant for good; its books stay."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.actions.bootstrapping import OPERATOR
from tenants.actions.closing import close_tenant
from tenants.models import Tenant
from tenants.publishing import publish_now


class Command(BaseCommand):
    """Shut a tenant: keys revoked, credentials forgotten, invitations withdrawn."""

    help = "Shut a tenant for good: no call, key or credential is left; its books stay."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the tenant's slug."""
        parser.add_argument("slug")
        parser.add_argument("--yes", action="store_true", help="it cannot be undone")

    def handle(self, *args: Any, **options: Any) -> None:
        """Close it. Raises: CommandError."""
        tenant = Tenant.objects.filter(slug=options["slug"]).first()
        if tenant is None:
            raise CommandError(f"there is no tenant {options['slug']!r}")
        if not options["yes"]:
            raise CommandError(f"{tenant.name} would be closed for good; say --yes")
        in_force = publish_now(close_tenant(tenant=tenant, actor=OPERATOR).entries)
        self.stdout.write(f"{tenant.name} is closed{'' if in_force else '; the publisher puts it in force'}.")
