"""Invitation: an e-mail address asked to become a member. Only the digest of the link's token is kept."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import ClassVar

from django.db import models

from tenants.ids import new_invitation_id
from tenants.models.member import Member
from tenants.models.scoping import TenantQuerySet


class InvitationQuerySet(TenantQuerySet["Invitation"]):
    """Invitations by whether they can still be accepted."""

    def pending(self) -> InvitationQuerySet:
        """Neither accepted nor withdrawn; may have expired."""
        return self.filter(accepted_at__isnull=True, withdrawn_at__isnull=True)

    def acceptable(self, token: str, now: datetime) -> InvitationQuerySet:
        """The one invitation that a link's token opens, while it can be accepted."""
        return self.pending().filter(token_digest=token_digest(token), expires_at__gt=now)


class Invitation(models.Model):
    """An e-mail address asked to become a member in a role."""

    id = models.CharField(primary_key=True, max_length=32, default=new_invitation_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=16, choices=Member.Role.choices)
    token_digest = models.CharField(max_length=64, unique=True)
    invited_by = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[InvitationQuerySet] = InvitationQuerySet.as_manager()  # type: ignore[assignment]  # a manager acts as its QuerySet

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "email"],
                condition=models.Q(accepted_at__isnull=True, withdrawn_at__isnull=True),
                name="invitation_one_pending",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=["owner", "admin", "finance", "developer", "support", "viewer"]),
                name="invitation_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"


def token_digest(token: str) -> str:
    """The name under which a link's token is stored; it is random enough to need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
