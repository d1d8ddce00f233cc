"""``manage.py seed_demo --simulator URL --json``: the demo tenant of ``make run``; a second run finds the first's."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.demo import seed_demo
from tenants.errors import TenantsError
from tenants.publishing import publish_now


class Command(BaseCommand):
    """Make or find the demo tenant."""

    help = (
        "Make the demo tenant whose provider is a simulator, or find the one that was made. Development only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what the command takes."""
        parser.add_argument(
            "--simulator", required=True, metavar="URL", help="base URL of the provider simulator"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make or find it; refuse in production, where nobody wants a tenant with a known name."""
        if settings.FAREBOX_ENV == "production":
            raise CommandError("seed_demo is for development; FAREBOX_ENV is production")
        memory = settings.FAREBOX_HOME / "demo.json"
        try:
            demo, entries = seed_demo(memory=memory, simulator_url=options["simulator"].rstrip("/"))
        except TenantsError as error:
            raise CommandError(str(error)) from error
        publish_now(entries)
        told = asdict(demo)
        lines = [f"{name:13} {value}" for name, value in told.items()]
        self.stdout.write(json.dumps(told) if options["json"] else "\n".join(lines))
