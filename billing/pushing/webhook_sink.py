"""A tenant's own endpoint as a sink: JSON, signed as Standard Webhooks has it, to public addresses only.

The identifier is the message's id, so that a receiver that keeps ids counts each push once.
Source: the Standard Webhooks specification (headers webhook-id, webhook-timestamp, webhook-signature), November 2026.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.utils import timezone

from billing.models import Push, PushDestination
from billing.stripe.outcomes import ACCEPTED, Outcome, Verdict
from enforcement.errors import CredentialError
from metering.money import format_usd
from tenants.actions.provider_accounts import credential_box
from tenants.errors import TenantsError
from tenants.probing import judged_address
from tenants.upstreams import checked_base_url

TIMEOUTS = httpx.Timeout(10.0, connect=5.0)
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with, not one
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Request:
    """One request to an address that was judged, still speaking to the host by its name."""

    url: str
    headers: dict[str, str]
    extensions: dict[str, Any]


class WebhookSink:
    """Posts pushes to a destination."""

    def __init__(self, destination: PushDestination) -> None:
        self._destination = destination

    def send(self, push: Push) -> Outcome:
        """Post one push; 2xx is acceptance, whatever the body says."""
        body = json.dumps(body_of(push), separators=(",", ":")).encode()
        try:
            secret = credential_box().open(self._destination.secret, context=self._destination.secret_context)
            request = pinned(self._destination.url)
        except CredentialError as error:
            return Outcome(Verdict.AUTH, code="credential_unreadable", detail=str(error)[:300])
        except TenantsError as error:
            return Outcome(Verdict.AUTH, code=error.code, detail=str(error)[:300])
        except OSError as error:
            # Nothing was sent: the name does not resolve, or leads inwards for now.
            return Outcome(Verdict.RETRY, reason="unresolved_name", detail=str(error)[:300])
        headers = {**request.headers, **signed(push.identifier, body, secret, at_s=_now_s())}
        try:
            with httpx.Client(timeout=TIMEOUTS, trust_env=False) as client:
                answer = client.post(
                    request.url, content=body, headers=headers, extensions=request.extensions
                )
        except httpx.ConnectError as error:
            return Outcome(Verdict.RETRY, reason="no_connection", detail=str(error)[:300])
        except httpx.HTTPError as error:
            return Outcome(Verdict.AMBIGUOUS, detail=(str(error) or type(error).__name__)[:300])
        return outcome_of_status(answer.status_code)


def body_of(push: Push) -> dict[str, object]:
    """Write a push as a message: ids, integers and decimal strings."""
    return {
        "type": "usage.sealed",
        "timestamp": push.stamp_at.isoformat(),
        "data": {
            "identifier": push.identifier,
            "customer": push.customer.external_id,
            "mode": push.mode,
            "line": push.line,
            "currency": push.currency,
            "unit_minor": push.unit_minor,
            "value_units": push.value_units,
            "bucket_start": push.bucket_start.isoformat(),
            "bucket_end": push.bucket_end.isoformat(),
            "late_from": push.late_from.isoformat() if push.late_from else None,
            "charge_usd": format_usd(push.charge_nanousd),
            "calls": push.row_count,
        },
    }


def signed(identifier: str, body: bytes, secret: str, *, at_s: int) -> dict[str, str]:
    """Sign a message; a receiver checks the signature, the age, and whether it knows the id."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    said = f"{identifier}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature}",
        "content-type": "application/json",
    }


def outcome_of_status(status: int) -> Outcome:
    """Judge a receiver's status."""
    if 200 <= status < 300:
        return ACCEPTED
    if status in {401, 403, 410}:
        return Outcome(Verdict.AUTH, code=f"status_{status}", status=status)
    if status in {408, 409, 425, 429}:
        return Outcome(Verdict.RETRY, reason=f"status_{status}", status=status)
    if status >= 500:
        return Outcome(Verdict.AMBIGUOUS, status=status)
    return Outcome(Verdict.INVALID, code=f"status_{status}", status=status)


def pinned(url: str) -> Request:
    """Resolve where a URL leads and judge the address. Raises: TenantsError, OSError (it leads inwards or nowhere)."""
    parts = urlsplit(checked_base_url(url))
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = judged_address(host, port)
    literal = f"[{address}]" if address.version == 6 else str(address)
    return Request(
        f"{parts.scheme}://{literal}:{port}{parts.path or '/'}",
        {"host": parts.netloc},
        {"sni_hostname": host},
    )


def _now_s() -> int:
    return int(timezone.now().timestamp())
