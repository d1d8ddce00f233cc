"""Who calls the control API: an ``fbx_ak_`` bearer key, which says the tenant and the mode as well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from enforcement.keyring import parse_key
from enforcement.keys import Mode as ModeName
from tenants import reach
from tenants.actions.recording import Actor
from tenants.api.problems import Unauthorized
from tenants.models import Key, RetiredSecret, Tenant

USED_AT_GRAIN = timedelta(minutes=1)
_KIND_NAMES = {"ck": "a customer key", "sk": "a server key"}


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """An API key that was accepted: all rows it sees are of this tenant and this mode."""

    tenant: Tenant
    mode: ModeName
    key: Key
    is_authenticated: bool = True

    @property
    def actor(self) -> Actor:
        """The caller as audit entries name it."""
        return Actor("api_key", self.key.pk, self.key.name or self.key.prefix)


class ApiKeyAuthentication(BaseAuthentication):
    """Accepts ``Authorization: Bearer fbx_ak_…`` and says precisely why anything else is refused."""

    def authenticate(self, request: Request) -> tuple[ApiCaller, Key] | None:
        """Turn the bearer key into the caller; None without one."""
        words = get_authorization_header(request).split()
        if not words:
            return None
        if len(words) != 2 or words[0].lower() != b"bearer":
            raise Unauthorized("invalid_key", "send Authorization: Bearer fbx_ak_…")
        with reach.all_tenants(reach.Why.FIND_KEY):
            key = _find_key(words[1].decode("latin-1"), timezone.now())
            reach.narrow(key.tenant_id)
        _note_use(key)
        mode: ModeName = "live" if key.mode == "live" else "test"
        return ApiCaller(key.tenant, mode, key), key

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme in a 401."""
        return 'Bearer realm="Farebox control API"'


def _find_key(text: str, now: datetime) -> Key:
    parsed = parse_key(text)
    if parsed is None:
        raise Unauthorized("invalid_key", "this is no Farebox key, or it has a typo")
    if parsed.kind != "ak":
        raise Unauthorized(
            "invalid_key",
            f"{_KIND_NAMES[parsed.kind]} cannot call the control API; use an API key (fbx_ak_…)",
        )
    retired = RetiredSecret.objects.filter(digest=parsed.digest, expires_at__gt=now).values("key_id")
    found = Key.objects.select_related("tenant").filter(Q(digest=parsed.digest) | Q(pk__in=retired))
    key = found.filter(kind=Key.Kind.API).first()
    if key is None:
        raise Unauthorized("invalid_key", "this API key does not exist, or was replaced")
    if key.revoked_at is not None:
        raise Unauthorized(
            "key_revoked", f"this API key was revoked at {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    if key.expires_at is not None and key.expires_at <= now:
        raise Unauthorized("key_expired", f"this API key expired at {key.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    return key


def _note_use(key: Key) -> None:
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - USED_AT_GRAIN:
        Key.objects.filter(pk=key.pk).update(last_used_at=now)
