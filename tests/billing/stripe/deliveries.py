"""Deliveries as Stripe makes them: bodies, signatures, and the inbox worked off by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from django.test import Client

from billing.incoming.handlers import handle
from billing.incoming.inbox import due_events, handle_one
from billing.models import HookRefusal, StripeConnection, StripeEvent
from billing.stripe.hooks import SNAPSHOT
from tenants.actions.provider_accounts import credential_box


def give_secret(
    connection: StripeConnection, kind: str = SNAPSHOT, secret: str = "whsec_one", *, until: str | None = None
) -> str:
    """Let a connection know a signing secret besides those it has."""
    sealed = credential_box().seal(secret, context=connection.webhook_context)
    entry = {"kind": kind, "endpoint": f"we_{secret[6:]}", "sealed": sealed, "until": until}
    connection.webhook_secrets = [entry, *connection.webhook_secrets]
    connection.webhook_endpoint_id = "we_one"
    connection.save(update_fields=["webhook_secrets", "webhook_endpoint_id"])
    return secret


def snapshot(kind: str = "customer.updated", about: str = "cus_1", **changes: Any) -> dict[str, Any]:
    """A snapshot event."""
    body = {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "livemode": False,
        "data": {"object": {"id": about}},
    }
    return {**body, **changes}


def thin(kind: str = "v1.billing.meter.no_meter_found", **changes: Any) -> dict[str, Any]:
    """A thin event."""
    return {"id": "evt_2", "object": "v2.core.event", "type": kind, "livemode": False, **changes}


def sign(raw: bytes, secret: str, *, at_s: float | None = None) -> str:
    """A signature's header, by a calculation of our own."""
    stamp = int(time.time() if at_s is None else at_s)
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def deliver(
    connection: StripeConnection,
    event: dict[str, Any],
    secret: str = "whsec_one",
    *,
    at_s: float | None = None,
    public_id: str = "",
) -> int:
    """Send an event to a connection's address; returns the status."""
    raw = json.dumps(event).encode()
    return send_raw(public_id or connection.endpoint_public_id, raw, sign(raw, secret, at_s=at_s))


def send_raw(public_id: str, raw: bytes, signature: str) -> int:
    """Send whatever to an address, as a client whose forms would be checked for forgery."""
    answer = Client(enforce_csrf_checks=True).post(
        f"/hooks/stripe/{public_id}/",
        raw,
        content_type="application/json",
        headers={"Stripe-Signature": signature},
    )
    assert answer.content == b""
    return int(answer.status_code)


def work_off() -> list[str]:
    """Handle everything that is due, as workers would; returns what became of each."""
    return [handle_one(pk, handle=handle) for pk in list(due_events().values_list("pk", flat=True))]


def refused() -> dict[str, int]:
    """How many deliveries were refused, by reason."""
    return dict(HookRefusal.objects.values_list("reason", "count"))


def taken() -> list[tuple[str, str]]:
    """What is in the inbox: event and what became of it."""
    return list(StripeEvent.objects.order_by("pk").values_list("event_id", "outcome"))
