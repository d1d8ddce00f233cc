"""Member: a person's role in a tenant."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from tenants.ids import new_member_id
from tenants.models.scoping import TenantQuerySet


class Member(models.Model):
    """A person's role in a tenant."""

    class Role(models.TextChoices):
        """From everything to looking on."""

        OWNER = "owner"
        ADMIN = "admin"
        FINANCE = "finance"
        DEVELOPER = "developer"
        SUPPORT = "support"
        VIEWER = "viewer"

    id = models.CharField(primary_key=True, max_length=32, default=new_member_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Member]] = TenantQuerySet["Member"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="member_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=["owner", "admin", "finance", "developer", "support", "viewer"]),
                name="member_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} as {self.role} of {self.tenant_id}"
