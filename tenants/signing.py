"""Sign-ins, failures and sign-outs as audit entries, at each tenant that the person belongs to."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.signals import password_changed, password_reset
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from tenants import reach
from tenants.models import AuditEntry, Member, User
from tenants.origin import current_address

log = logging.getLogger(__name__)


def note_sign_in(sender: object, user: User, **_: object) -> None:
    """Note that somebody signed in."""
    _note("member.sign_in", user)


def note_sign_out(sender: object, user: User | None, **_: object) -> None:
    """Note that somebody signed out."""
    if user is not None:
        _note("member.sign_out", user)


def note_failure(sender: object, credentials: dict[str, Any], **_: object) -> None:
    """Note a refused sign-in at a member's tenants; of an address nobody has, the log says only from where."""
    address = credentials.get("email") or credentials.get("username") or ""
    user = User.objects.filter(email__iexact=str(address)).first()
    if user is None:
        log.warning("sign_in.unknown", extra={"address": current_address()})
    else:
        _note("member.sign_in_refused", user)


def note_password(sender: object, user: User, **_: object) -> None:
    """Note a changed password."""
    _note("member.change_password", user)


def connect() -> None:
    """Listen. Call it once, when the app is ready."""
    user_logged_in.connect(note_sign_in, dispatch_uid="tenants.sign_in")
    user_logged_out.connect(note_sign_out, dispatch_uid="tenants.sign_out")
    user_login_failed.connect(note_failure, dispatch_uid="tenants.sign_in_refused")
    password_changed.connect(note_password, dispatch_uid="tenants.password_changed")
    password_reset.connect(note_password, dispatch_uid="tenants.password_reset")


def _note(action: str, user: User) -> None:
    with reach.all_tenants(reach.Why.SIGN_IN):
        AuditEntry.objects.bulk_create(
            AuditEntry(
                tenant_id=member.tenant_id,
                actor_kind="member",
                actor_id=member.pk,
                actor_name=user.email,
                action=action,
                object_kind="member",
                object_id=member.pk,
            )
            for member in Member.objects.filter(user=user)
        )
