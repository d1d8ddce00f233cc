"""Keys: made, changed, rotated, revoked. The secret is in the answer once and nowhere else."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from enforcement.keyring import KeyKind, make_key
from enforcement.keys import Mode as ModeName
from enforcement.policies import key_digest
from tenants import rules
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.errors import InvalidInput, WrongState
from tenants.models import Customer, Key, Outbox, RetiredSecret, Tenant
from tenants.scopes import checked_scopes
from tenants.versions import next_version

OVERLAP_SECONDS_MAX = 90 * 24 * 3600
PREFIX_RANDOM_CHARS = 4
_TAGS: dict[str, KeyKind] = {"customer": "ck", "server": "sk", "api": "ak"}


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key with its secret, which exists nowhere else from now on."""

    change: Change[Key]
    secret: str

    @property
    def row(self) -> Key:
        """The key's row."""
        return self.change.row

    def __repr__(self) -> str:
        return f"IssuedKey({self.change.row.prefix}…)"


@transaction.atomic
def create_key(
    *,
    tenant: Tenant,
    mode: str,
    kind: str,
    actor: Actor,
    customer: Customer | None = None,
    values: Mapping[str, Any] | None = None,
) -> IssuedKey:
    """Make a key. A customer key needs its customer; an API key takes ``scopes``.

    Raises: InvalidInput.
    """
    rules.one_of("kind", kind, Key.Kind.values)
    _check_customer(tenant, mode, kind, customer)
    given = dict(values or {})
    scopes = checked_scopes(given.pop("scopes", None)) if kind == "api" else _no_scopes(given)
    secret, prefix = _new_secret(tenant, mode, kind)
    row = Key.objects.create(
        tenant=tenant,
        mode=mode,
        kind=kind,
        customer=customer,
        scopes=scopes,
        prefix=prefix,
        digest=key_digest(secret),
        version=next_version(),
        **rules.checked(RULES, given, noun="a key"),
    )
    trail = Trail(tenant, mode, actor)
    trail.audit("key.create", row, after=shown(row, "kind", "prefix", "customer_id", "scopes", *RULES))
    _publish(row, trail)
    return IssuedKey(trail.done(row, created=True), secret)


@transaction.atomic
def change_key(*, key: Key, actor: Actor, values: Mapping[str, Any]) -> Change[Key]:
    """Change a key's name, models, rate limits or expiry. Raises: WrongState when it is revoked."""
    checked = rules.checked(RULES, values, noun="a key")
    row = _lock_active(key)
    before = shown(row, *checked)
    for field, value in checked.items():
        setattr(row, field, value)
    row.save(update_fields=[*checked, "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("key.change", row, before=before, after=shown(row, *checked))
    touch_key(row, trail)
    return trail.done(row)


@transaction.atomic
def revoke_key(*, key: Key, actor: Actor) -> Change[Key]:
    """Revoke a key and all its retired secrets, for ever. Revoking it again changes nothing but publishes again."""
    row = lock_key(key)
    trail = Trail(row.tenant, row.mode, actor)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at", "updated_at"])
        trail.audit("key.revoke", row, before={"state": "active"}, after={"state": "revoked"})
    touch_key(row, trail)
    return trail.done(row)


@transaction.atomic
def rotate_key(*, key: Key, actor: Actor, overlap_seconds: int = 0) -> IssuedKey:
    """Give a key a new secret; the old one stays good for the overlap. Budgets and limits stay with the key.

    Raises: WrongState when it is revoked; InvalidInput.
    """
    rules.between("overlap_seconds", overlap_seconds, least=0, most=OVERLAP_SECONDS_MAX)
    row = _lock_active(key)
    now = timezone.now()
    ends_at = now + timedelta(seconds=overlap_seconds)
    # A second rotation within an overlap must not prolong the first secret's life.
    row.retired_secrets.filter(expires_at__gt=ends_at).update(expires_at=ends_at)
    RetiredSecret.objects.create(key=row, prefix=row.prefix, digest=row.digest, expires_at=ends_at)
    old_prefix = row.prefix
    secret, row.prefix = _new_secret(row.tenant, row.mode, row.kind)
    row.digest = key_digest(secret)
    row.save(update_fields=["prefix", "digest", "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    after = {"prefix": row.prefix, "old_secret_ends": ends_at.isoformat()}
    trail.audit("key.rotate", row, before={"prefix": old_prefix}, after=after)
    touch_key(row, trail)
    return IssuedKey(trail.done(row), secret)


def lock_key(key: Key) -> Key:
    """Take the lock that guards a key's policy. Call it inside the transaction."""
    return Key.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=key.pk)


def touch_key(key: Key, trail: Trail) -> None:
    """Give a key's policy a new version and queue it. Needs ``lock_key``."""
    key.version = next_version()
    key.save(update_fields=["version", "updated_at"])
    _publish(key, trail)


def _publish(key: Key, trail: Trail) -> None:
    # API keys are the control plane's own; Redis never hears of them.
    if key.kind != Key.Kind.API:
        trail.publish(Outbox.Kind.KEY, key.pk)


def _lock_active(key: Key) -> Key:
    row = lock_key(key)
    if row.revoked_at is not None:
        raise WrongState(
            f"key {row.pk} was revoked at {row.revoked_at:%Y-%m-%d %H:%M:%S} UTC; make a new one"
        )
    return row


def _new_secret(tenant: Tenant, mode: str, kind: str) -> tuple[str, str]:
    secret = make_key(_TAGS[kind], cast("ModeName", mode), tenant.pk, secrets.randbits(195))
    head, _, random_part = secret.rpartition("_")
    return secret, f"{head}_{random_part[:PREFIX_RANDOM_CHARS]}"


def _check_customer(tenant: Tenant, mode: str, kind: str, customer: Customer | None) -> None:
    if (kind == "customer") != (customer is not None):
        raise InvalidInput("customer", "a customer key needs a customer, and no other kind may have one")
    if customer is not None and (customer.tenant_id, customer.mode) != (tenant.pk, mode):
        raise InvalidInput("customer", f"no customer {customer.pk} in mode {mode}")


def _no_scopes(given: dict[str, Any]) -> list[str]:
    if given.pop("scopes", None):
        raise InvalidInput("scopes", "only API keys have scopes")
    return []


def _checked_expiry(value: datetime | None) -> datetime | None:
    if value is not None and value <= timezone.now():
        raise InvalidInput("expires_at", f"expires_at {value.isoformat()} has passed; revoke the key instead")
    return value


RULES: dict[str, rules.Rule] = {
    "name": rules.name,
    "models_allowed": rules.models_allowed,
    "expires_at": _checked_expiry,
    **rules.RATES,
}
