"""The end of a tenant, and how long its things are kept."""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone

from tenants.actions.keys import revoke_key
from tenants.actions.provider_accounts import delete_provider_account
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.actions.tenants import lock_settings, touch_policy
from tenants.errors import InvalidInput
from tenants.models import Invitation, Key, ProviderAccount, Tenant

KEPT_DAYS_MAX = 36_500


@transaction.atomic
def close_tenant(*, tenant: Tenant, actor: Actor) -> Change[Tenant]:
    """Shut a tenant for good: no call, no key, no credential is left; its books stay. Repeating it changes nothing.

    Customers are erased one by one before or after, see ``billing.erasing``; members keep their way in, to read.
    """
    row = Tenant.objects.select_for_update().get(pk=tenant.pk)
    trail = Trail(row, "", actor)
    entries: list[int] = []
    if row.closed_at is not None:
        return trail.done(row)
    before = shown(row, "state")
    row.state, row.closed_at = Tenant.State.SUSPENDED, timezone.now()
    row.save(update_fields=["state", "closed_at"])
    trail.audit("tenant.close", row, before=before, after=shown(row, "state", "closed_at"))
    for key in Key.objects.for_tenant(row).filter(revoked_at=None):
        entries += revoke_key(key=key, actor=actor).entries
    for account in ProviderAccount.objects.for_tenant(row).exclude(credential=""):
        entries += delete_provider_account(account=account, actor=actor).entries
    Invitation.objects.for_tenant(row).filter(accepted_at=None, withdrawn_at=None).update(
        withdrawn_at=timezone.now()
    )
    for mode in ("test", "live"):
        its_trail = Trail(row, mode, actor)
        touch_policy(lock_settings(row, mode), its_trail)
        entries += its_trail.entries
    return Change(row, tuple(entries))


@transaction.atomic
def set_retention(
    *, tenant: Tenant, actor: Actor, audit_kept_days: int, tags_kept_days: int
) -> Change[Tenant]:
    """Say for how many days audit entries and the tags of calls are kept; 0 = for good. Raises: InvalidInput."""
    given = {"audit_kept_days": audit_kept_days, "tags_kept_days": tags_kept_days}
    for name, days in given.items():
        if not 0 <= days <= KEPT_DAYS_MAX:
            raise InvalidInput(name, f"{name} must be 0 (for good) to {KEPT_DAYS_MAX} days")
    row = Tenant.objects.select_for_update().get(pk=tenant.pk)
    before = shown(row, *given)
    for name, days in given.items():
        setattr(row, name, days)
    row.save(update_fields=list(given))
    trail = Trail(row, "", actor)
    trail.audit("tenant.set_retention", row, before=before, after=given)
    return trail.done(row)


def forget_what_is_due() -> int:
    """Delete audit entries and empty tags that tenants keep no longer; returns how many there were."""
    gone = 0
    for row in Tenant.objects.exclude(audit_kept_days=0, tags_kept_days=0):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT CASE WHEN %s > 0 THEN farebox_forget_audit(%s, now() - make_interval(days => %s)) ELSE 0 END",
                [row.audit_kept_days, row.pk, row.audit_kept_days],
            )
            entries = cursor.fetchone()
            cursor.execute("SELECT farebox_forget_tags(%s)", [row.pk])
            tags = cursor.fetchone()
        gone += (entries[0] if entries else 0) + (tags[0] if tags else 0)
    return gone
