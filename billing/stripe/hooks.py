"""Have Stripe send its events to us where it can reach us; where it cannot, they are polled."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone

from billing.errors import StripeFailed
from billing.models import StripeConnection
from billing.stripe import events
from billing.stripe.gateway import Gateway
from billing.stripe.keys import gateway_of, is_simulated
from billing.stripe.objects import Endpoint
from billing.stripe.outcomes import Verdict
from tenants.actions.provider_accounts import credential_box
from tenants.actions.recording import Actor, Change, Trail
from tenants.errors import WrongState

SNAPSHOT_KINDS = (
    "customer.created", "customer.updated", "customer.deleted", "customer.subscription.created",
    "customer.subscription.updated", "customer.subscription.deleted", "invoice.created", "invoice.finalized",
    "invoice.paid", "invoice.payment_failed", "invoice.voided", "invoice.marked_uncollectible",
    "checkout.session.completed", "checkout.session.expired", "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed", "charge.refunded", "refund.updated", "refund.failed",
    "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)  # fmt: skip
THIN_KINDS = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")
SNAPSHOT, THIN = "snapshot", "thin"
# What Stripe sent before a rotation may still arrive after it.
OLD_SECRET_LASTS = timedelta(hours=24)


def hook_url(connection: StripeConnection) -> str:
    """Where Stripe is to send a connection's events."""
    return f"{django_settings.FAREBOX_BASE_URL}/hooks/stripe/{connection.endpoint_public_id}/"


def why_unreachable() -> str | None:
    """Why Stripe could not send us anything; None when it could, as far as an address tells."""
    base = urlsplit(django_settings.FAREBOX_BASE_URL)
    if is_simulated():
        return None  # the simulator is where we are
    if base.scheme != "https":
        return f"{django_settings.FAREBOX_BASE_URL} is not https"
    try:
        public = ipaddress.ip_address(base.hostname or "").is_global
    except ValueError:
        public = "." in (base.hostname or "") and not (base.hostname or "").endswith((".local", ".internal"))
    return None if public else f"{base.hostname} is no public address"


def register_hooks(*, connection: StripeConnection, actor: Actor) -> Change[StripeConnection]:
    """Register both kinds of events, or register anew: what was registered before ends, its secrets in a day.

    Raises: WrongState when Stripe could not reach us: events are polled then; StripeFailed.
    """
    reason = why_unreachable()
    if reason is not None:
        raise WrongState(f"Stripe could not send events here: {reason}; they are polled instead")
    gateway = gateway_of(connection)
    url = hook_url(connection)
    snapshot = events.create_endpoint(gateway, url, SNAPSHOT_KINDS, metadata={"farebox": connection.pk})
    thin = _thin_destination(gateway, connection, url)
    with transaction.atomic():
        rows = StripeConnection.objects.select_for_update(of=("self",)).select_related("tenant")
        row = rows.get(pk=connection.pk)
        before = list(row.webhook_secrets)
        made = [_kept(row, SNAPSHOT, snapshot), *([_kept(row, THIN, thin)] if thin else [])]
        row.webhook_secrets = [*made, *_ending(before)]
        row.webhook_endpoint_id = snapshot.id
        row.save(update_fields=["webhook_secrets", "webhook_endpoint_id", "updated_at"])
        trail = Trail(row.tenant, row.mode, actor)
        trail.audit("stripe_connection.register_hooks", row, after={"url": url, "thin": thin is not None})
        change = trail.done(row)
    _end(gateway, [each for each in before if not each["until"]])
    return change


def _thin_destination(gateway: Gateway, connection: StripeConnection, url: str) -> Endpoint | None:
    """Thin events too where the key may; without them they are polled."""
    try:
        return events.create_destination(gateway, f"Farebox {connection.pk}", url, THIN_KINDS)
    except StripeFailed as error:
        if error.outcome is not None and error.outcome.verdict in {Verdict.PERMISSION, Verdict.INVALID}:
            return None
        raise


def _kept(row: StripeConnection, kind: str, endpoint: Endpoint) -> dict[str, Any]:
    sealed = credential_box().seal(endpoint.secret, context=row.webhook_context)
    return {"kind": kind, "endpoint": endpoint.id, "sealed": sealed, "until": None}


def _ending(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    now = timezone.now()
    ending = [{**each, "until": each["until"] or (now + OLD_SECRET_LASTS).isoformat()} for each in known]
    return [each for each in ending if each["until"] > now.isoformat()]


def _end(gateway: Gateway, known: list[dict[str, Any]]) -> None:
    """Have nothing sent to what was registered before; one that is gone already is fine."""
    for each in known:
        act = events.delete_endpoint if each["kind"] == SNAPSHOT else events.delete_destination
        try:
            act(gateway, each["endpoint"])
        except StripeFailed as error:
            if error.outcome is None or error.outcome.verdict != Verdict.MISSING:
                raise
