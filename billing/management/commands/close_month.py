"""``manage.py close_month``: show what a tenant's month comes to and what does not add up, and close it for good."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from billing.closing.figures import Difference
from billing.closing.months import close_month, draft_close
from metering.money import format_usd
from tenants.actions.recording import Actor
from tenants.errors import TenantsError
from tenants.models import Tenant

OPERATOR = Actor("operator", "manage.py", "manage.py")


class Command(BaseCommand):
    """Month close by hand."""

    help = "Close a month of a tenant. With --dry-run nothing is kept; exit 1 when something does not add up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may be given."""
        parser.add_argument("tenant", help="the tenant, by id or slug")
        parser.add_argument("month", help="such as 2026-11")
        parser.add_argument("--mode", choices=("test", "live"), default="live")
        parser.add_argument("--dry-run", action="store_true", help="show only")
        parser.add_argument(
            "--accept-differences", action="store_true", help="close although something does not add up"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Show, and close. Raises: CommandError."""
        tenant = Tenant.objects.filter(Q(pk=options["tenant"]) | Q(slug=options["tenant"])).first()
        if tenant is None:
            raise CommandError("no such tenant")
        try:
            month = datetime.strptime(options["month"], "%Y-%m").replace(tzinfo=UTC).date()
        except ValueError as error:
            raise CommandError("a month is written 2026-11") from error
        draft = draft_close(tenant, options["mode"], month)
        self.stdout.write(
            f"{tenant.name} {options['mode']} {month:%Y-%m}: ${format_usd(draft.month_nanousd)} charged"
        )
        for each in draft.standing.differences:
            self._show(each)
        if options["dry_run"]:
            if not draft.standing.is_right:
                sys.exit(1)
            return
        try:
            close_month(
                tenant, options["mode"], month, actor=OPERATOR, now=timezone.now(),
                accept_differences=options["accept_differences"],
            )  # fmt: skip
        except TenantsError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("closed")

    def _show(self, each: Difference) -> None:
        mark = "WRONG" if each.is_wrong else "waits"
        self.stdout.write(f"{mark} {each.kind}: {each.customer}: {each.what}")
