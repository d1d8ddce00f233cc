"""Connections' keys and webhook secrets after the installation's secret key was rotated."""

from __future__ import annotations

from django.db import transaction

from billing.models import StripeConnection
from enforcement.errors import CredentialError
from enforcement.secrets import CredentialBox
from tenants.actions.provider_accounts import credential_box
from tenants.actions.recording import SYSTEM, Trail
from tenants.resealing import Sealed


def reseal_connections() -> Sealed:
    """Seal under the first secret key what another still holds; one that cannot be opened keeps no other back."""
    box = credential_box()
    resealed: list[str] = []
    unreadable: list[str] = []
    for row in StripeConnection.objects.exclude(secret="").order_by("pk"):
        try:
            if _reseal(row.pk, box):
                resealed.append(row.pk)
        except CredentialError:
            unreadable.append(row.pk)
    return Sealed(tuple(resealed), tuple(unreadable))


@transaction.atomic
def _reseal(connection_id: str, box: CredentialBox) -> bool:
    rows = StripeConnection.objects.select_for_update(of=("self",)).select_related("tenant")
    row = rows.get(pk=connection_id)
    tokens = [row.secret, *(each["sealed"] for each in row.webhook_secrets)]
    if not row.secret or not any(box.needs_reseal(token) for token in tokens):
        return False
    row.secret = _anew(box, row.secret, row.secret_context)
    row.webhook_secrets = [
        {**each, "sealed": _anew(box, each["sealed"], row.webhook_context)} for each in row.webhook_secrets
    ]
    row.save(update_fields=["secret", "webhook_secrets", "updated_at"])
    Trail(row.tenant, row.mode, SYSTEM).audit("stripe_connection.reseal", row)
    return True


def _anew(box: CredentialBox, token: str, context: str) -> str:
    return box.seal(box.open(token, context=context), context=context)
