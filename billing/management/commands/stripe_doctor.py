"""``manage.py stripe_doctor [--tenant SLUG]``: looks over connections to Stripe; fails when usage is kept back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.models import StripeConnection
from billing.stripe.doctor import examine
from billing.stripe.keys import is_simulated


class Command(BaseCommand):
    """Examine each connection and say what to do."""

    help = (
        "Look over the connections to Stripe: key, permissions, meters, events, customers. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what the command takes."""
        parser.add_argument("--tenant", metavar="SLUG", help="only this tenant's connections")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line a check, and under a failed one what to do."""
        rows = StripeConnection.objects.exclude(status=StripeConnection.Status.DISCONNECTED)
        if options["tenant"]:
            rows = rows.filter(tenant__slug=options["tenant"])
        failed = 0
        for row in rows.select_related("tenant").order_by("tenant__slug", "mode"):
            simulated = ", a simulator" if is_simulated() else ""
            self.stdout.write(f"{row.tenant.slug} {row.mode}{simulated}")
            for check in examine(row):
                failed += not check.ok and check.is_serious
                word = "ok" if check.ok else "FAILED" if check.is_serious else "note"
                self.stdout.write(f"  {word:6} {check.name}: {check.found}")
                if not check.ok:
                    self.stdout.write(f"         → {check.advice}")
        if not rows.exists():
            self.stdout.write("no connection to Stripe")
        if failed:
            raise CommandError(f"{failed} check(s) failed", returncode=1)
