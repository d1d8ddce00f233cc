"""``manage.py reseal_credentials``: after a new secret key was put first, seal everything under it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from enforcement.errors import CredentialError
from tenants.actions.bootstrapping import OPERATOR
from tenants.actions.provider_accounts import reseal_credentials
from tenants.api.idempotency import reseal_answers
from tenants.publishing import publish_now
from tenants.resealing import reseal_others


class Command(BaseCommand):
    """Seal every provider credential under the newest secret key and publish it; audited per account."""

    help = "Seal every provider credential under the first of FAREBOX_SECRET_KEYS. May be repeated."

    def handle(self, *args: Any, **options: Any) -> None:
        """Reseal all; say what could not be opened, and whether the old key may be dropped."""
        try:
            done = reseal_credentials(actor=OPERATOR)
            answers = reseal_answers()
            others = reseal_others()
        except CredentialError as error:
            raise CommandError(str(error)) from error
        in_force = publish_now(done.entries)
        self.stdout.write(f"resealed {len(done.accounts)} provider accounts and {answers} kept answers")
        for noun, sealed in others.items():
            self.stdout.write(f"resealed {len(sealed.resealed)} {noun}")
        unreadable = [*done.unreadable, *(row for sealed in others.values() for row in sealed.unreadable)]
        if unreadable:
            raise CommandError(
                f"{len(unreadable)} rows were sealed with a key that FAREBOX_SECRET_KEYS lacks: "
                f"{', '.join(unreadable)}. Put that key in again, or give their credentials anew"
            )
        self.stdout.write(
            "in force on every proxy: the old key may be dropped"
            if in_force
            else "not yet in force: the publisher goes on; run this again before the old key is dropped"
        )
