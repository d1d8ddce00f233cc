"""Deliveries to a connection's address: proven, matched with the connection, put into the inbox, and that is all.

Who has no address here learns nothing: an unknown one and one without a secret are answered after the same work.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connection as database

from billing.incoming.inbox import Notice, take_in
from billing.models import StripeConnection, StripeEvent
from billing.stripe.gateway import verified_event
from billing.stripe.hooks import SNAPSHOT, THIN
from billing.stripe.keys import open_webhook_secrets

BODY_BYTES_MAX = 512 * 1024
# Nobody signs with it: it is there to be tried where there is nothing else to try.
_DECOY = ("", secrets.token_urlsafe(32))
_NAME = re.compile(r"[\w.:\-]{1,255}", re.ASCII)
_KIND = re.compile(r"[a-z0-9_.]{1,120}", re.ASCII)
_COUNT = """
INSERT INTO hook_refusal (reason, count) VALUES (%s, 1)
ON CONFLICT (reason) DO UPDATE SET count = hook_refusal.count + 1
"""


class Receipt(StrEnum):
    """What became of a delivery; all but the first two are counted as refusals."""

    TAKEN = "taken"
    REPEATED = "repeated"
    UNKNOWN = "unknown"
    TOO_LARGE = "too_large"
    SIGNATURE = "signature"
    SHAPE = "shape"
    LIVEMODE = "livemode"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class _Signed:
    kind: str
    event: Mapping[str, Any]


def receive(public_id: str, raw: bytes, signature: str) -> Receipt:
    """Take a delivery in, once."""
    receipt = _judge(public_id, raw, signature)
    if receipt not in {Receipt.TAKEN, Receipt.REPEATED}:
        count_refusal(receipt)
    return receipt


def count_refusal(receipt: Receipt) -> None:
    """Count a delivery that was refused: that one came, and why, is all that is kept of it."""
    with database.cursor() as cursor:
        cursor.execute(_COUNT, [receipt.value])


def _judge(public_id: str, raw: bytes, signature: str) -> Receipt:
    if len(raw) > BODY_BYTES_MAX:
        return Receipt.TOO_LARGE
    row = StripeConnection.objects.select_related("tenant").filter(endpoint_public_id=public_id).first()
    known = _secrets_of(row) if row is not None else []
    signed = _find_signed(raw, signature, known or [_DECOY])
    if row is None or not known:
        return Receipt.UNKNOWN
    if signed is None:
        return Receipt.SIGNATURE
    notice = _read(signed, row)
    if isinstance(notice, Receipt):
        return notice
    return Receipt.TAKEN if take_in(row, notice, via="webhook") else Receipt.REPEATED


def _secrets_of(row: StripeConnection) -> list[tuple[str, str]]:
    return [(kind, secret) for kind in (SNAPSHOT, THIN) for secret in open_webhook_secrets(row, kind)]


def _find_signed(raw: bytes, signature: str, known: Sequence[tuple[str, str]]) -> _Signed | None:
    """Try every secret that is in force: while one is being changed there are two."""
    for kind, secret in known:
        event = verified_event(raw, signature, secret)
        if event is not None:
            return _Signed(kind, event)
    return None


def _read(signed: _Signed, row: StripeConnection) -> Notice | Receipt:
    """What a proven delivery is about, or why it is not for this connection."""
    event = signed.event
    shape = THIN if event.get("object") == "v2.core.event" else SNAPSHOT
    if shape != signed.kind or (shape == SNAPSHOT and event.get("object") != "event"):
        return Receipt.SHAPE
    if event.get("livemode") is not (row.mode == "live"):
        return Receipt.LIVEMODE
    stated = event.get("account") or event.get("context")
    needs_account = row.kind == StripeConnection.Kind.CONNECT
    # A context may lead through an organization: its last part is the account.
    if (stated or needs_account) and str(stated).rpartition("/")[2] != row.stripe_account:
        return Receipt.ACCOUNT
    names = (event.get("id"), event.get("type"), _object_id(event, shape))
    if not (_fits(_NAME, names[0]) and _fits(_KIND, names[1]) and (not names[2] or _fits(_NAME, names[2]))):
        return Receipt.SHAPE
    return Notice(str(names[0]), StripeEvent.Shape(shape), str(names[1]), str(names[2]))


def _object_id(event: Mapping[str, Any], shape: str) -> object:
    holder: Any = event if shape == THIN else event.get("data")
    about = holder.get("related_object" if shape == THIN else "object") if isinstance(holder, dict) else None
    return about.get("id") or "" if isinstance(about, dict) else ""


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
