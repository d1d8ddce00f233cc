"""Tenant: the SaaS company that signs up."""

from __future__ import annotations

from django.db import models

from enforcement.keys import Mode as ModeName
from enforcement.keys import Scope
from tenants.ids import new_tenant_id
from tenants.models.tenant_settings import TenantSettings


class Tenant(models.Model):
    """The SaaS company that signs up. What may differ between test and live stands in its settings."""

    class State(models.TextChoices):
        """A suspended tenant's calls are all refused."""

        ACTIVE = "active"
        SUSPENDED = "suspended"

    id = models.CharField(primary_key=True, max_length=32, default=new_tenant_id, editable=False)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    zone = models.CharField(max_length=64, default="UTC")
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    # How long audit entries and the tags of calls are kept; 0 = for good.
    audit_kept_days = models.IntegerField(default=0)
    tags_kept_days = models.IntegerField(default=0)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["active", "suspended"]), name="tenant_state"
            ),
            models.CheckConstraint(
                condition=models.Q(audit_kept_days__gte=0, tags_kept_days__gte=0), name="tenant_retention"
            ),
            models.CheckConstraint(condition=models.Q(id__startswith="ten_"), name="tenant_id_prefix"),
        ]

    def __str__(self) -> str:
        return self.name

    def scope(self, mode: ModeName) -> Scope:
        """The tenant in one mode, as Redis knows it."""
        return Scope(self.id, mode)

    def settings_for(self, mode: str) -> TenantSettings:
        """The tenant's settings in one mode; they are made with the tenant."""
        return TenantSettings.objects.get(tenant=self, mode=mode)
