"""Idempotency-Key on every POST: the same key with the same request is answered as before and does nothing again.

A key is claimed in a transaction of its own, so that a second call meets it at once. The answer is kept in the
transaction of the change itself: a claim without an answer means that nothing was changed, and may be
taken over once it is old.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from tenants.actions.provider_accounts import credential_box
from tenants.actions.recording import note_secret_shown
from tenants.api.authentication import ApiCaller
from tenants.api.problems import Problem
from tenants.models import IdempotentAnswer, Key

HEADER = "Idempotency-Key"
KEY_CHARS_MAX = 255
KEPT_FOR = timedelta(hours=24)
# Longer than any request may run: a claim this old belongs to a process that is gone.
ABANDONED_AFTER = timedelta(minutes=10)


class Replayed(Exception):  # not an error: the way out of a view that need not run
    """The answer is known already."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body
        super().__init__("answered before")


@dataclass(slots=True)
class Claim:
    """One POST's hold on its key."""

    row: IdempotentAnswer
    is_kept: bool = False

    def keep(self, status: int, body: Any) -> None:
        """Keep the answer, encrypted: it may hold a secret that is shown once."""
        text = json.dumps(body, cls=JSONEncoder)
        self.row.status = status
        self.row.sealed_body = credential_box().seal(text, context=_context(self.row))
        self.row.save(update_fields=["status", "sealed_body"])
        self.is_kept = True

    def drop(self) -> None:
        """Forget the claim: the request changed nothing."""
        IdempotentAnswer.objects.filter(pk=self.row.pk).delete()


def claim(request: Request) -> Claim | None:
    """Claim the request's key; None where it is no POST or has none.

    Raises: Replayed with the earlier answer; Problem when the key is in use or was used for another request.
    """
    text = request.headers.get(HEADER, "") if request.method == "POST" else ""
    if not text:
        return None
    if len(text) > KEY_CHARS_MAX or not text.isprintable():
        raise Problem(400, "invalid_request", f"{HEADER} takes up to {KEY_CHARS_MAX} printable characters")
    caller = request.user
    assert isinstance(caller, ApiCaller)
    digest = _request_digest(request)
    row, is_new = IdempotentAnswer.objects.get_or_create(
        api_key=caller.key,
        idempotency_key=text,
        defaults={"tenant": caller.tenant, "request_digest": digest},
    )
    return Claim(row) if is_new else _meet(row, digest, caller)


def _meet(row: IdempotentAnswer, digest: str, caller: ApiCaller) -> Claim:
    """Decide about a key that was claimed before."""
    now = timezone.now()
    if row.created_at < now - KEPT_FOR:
        return _take_over(row, digest)
    if row.request_digest != digest:
        raise Problem(
            422, "idempotency_key_reused", f"this {HEADER} was used for another request; take a new one"
        )
    if row.status is not None:
        body = json.loads(credential_box().open(row.sealed_body, context=_context(row)))
        _note_secret(body, caller)
        raise Replayed(row.status, body)
    if row.created_at < now - ABANDONED_AFTER:
        return _take_over(row, digest)
    raise Problem(409, "request_in_progress", f"the request with this {HEADER} is still running")


def _note_secret(body: Any, caller: ApiCaller) -> None:
    """An answer given again shows again what was to be shown once."""
    if isinstance(body, dict) and str(body.get("key", "")).startswith("fbx_"):
        key = Key.objects.for_tenant(caller.tenant).get(pk=body["id"])
        note_secret_shown(caller.tenant, caller.mode, caller.actor, key)


@transaction.atomic
def _take_over(row: IdempotentAnswer, digest: str) -> Claim:
    locked = IdempotentAnswer.objects.select_for_update().filter(pk=row.pk, created_at=row.created_at).first()
    if locked is None:
        raise Problem(409, "request_in_progress", f"the request with this {HEADER} is still running")
    locked.created_at, locked.request_digest, locked.status, locked.sealed_body = (
        timezone.now(),
        digest,
        None,
        "",
    )
    locked.save(update_fields=["created_at", "request_digest", "status", "sealed_body"])
    return Claim(locked)


def drop_old_answers() -> int:
    """Forget answers past their day; returns how many."""
    return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]


def reseal_answers() -> int:
    """Seal under the first secret key the answers that another still holds; returns how many."""
    box = credential_box()
    stale = [
        row for row in IdempotentAnswer.objects.exclude(sealed_body="") if box.needs_reseal(row.sealed_body)
    ]
    for row in stale:
        body = box.seal(box.open(row.sealed_body, context=_context(row)), context=_context(row))
        # Unless it was answered anew meanwhile, under the first key then.
        IdempotentAnswer.objects.filter(pk=row.pk, sealed_body=row.sealed_body).update(sealed_body=body)
    return len(stale)


def _request_digest(request: Request) -> str:
    head = f"{request.method} {request.get_full_path()}\n".encode()
    return hashlib.sha256(head + request.body).hexdigest()


def _context(row: IdempotentAnswer) -> str:
    return f"{row.tenant_id}:answer:{row.pk}"
