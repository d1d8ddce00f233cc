"""``manage.py bootstrap --tenant NAME --email ADDR --json``: the first tenant, its owner and an API key."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from tenants.actions.bootstrapping import bootstrap_tenant
from tenants.errors import TenantsError
from tenants.publishing import publish_now


class Command(BaseCommand):
    """Make a tenant, its owner and a full-scope API key; the secrets are printed once."""

    help = "Make a tenant, its owner and a full-scope API key. The secrets are printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what the command takes."""
        parser.add_argument("--tenant", required=True, metavar="NAME")
        parser.add_argument("--email", required=True, metavar="ADDR", help="the owner signs in with it")
        parser.add_argument(
            "--live", action="store_true", help="make the API key for mode live instead of test"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make them, or say what is taken."""
        mode = "live" if options["live"] else "test"
        try:
            validate_email(options["email"])
            made = bootstrap_tenant(name=options["tenant"], email=options["email"], mode=mode)
        except ValidationError as error:
            raise CommandError(f"--email {options['email']!r}: {'; '.join(error.messages)}") from error
        except TenantsError as error:
            raise CommandError(str(error)) from error
        publish_now(made.entries)
        answer = {
            "tenant": made.tenant.pk,
            "api_key": made.api_key,
            "portal_url": f"{settings.FAREBOX_BASE_URL}/portal/{made.tenant.slug}/{mode}/",
            "password": made.password,
        }
        lines = [f"{name:10} {value}" for name, value in answer.items()]
        self.stdout.write(json.dumps(answer) if options["json"] else "\n".join(lines))
