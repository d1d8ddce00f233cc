"""AuditEntry: who did what, from what to what, when and from where. The app may add entries and read them, no more."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.models.scoping import TenantQuerySet
from tenants.origin import current_address


class AuditEntry(models.Model):
    """One change, for ever. Never holds a secret: actions pass what may be shown."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, blank=True, default="")  # empty = concerns both
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=200, blank=True)
    action = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    # Where the request came from, past our own proxies; empty when it was no request.
    address = models.CharField(max_length=45, blank=True, default=current_address)
    at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[AuditEntry]] = TenantQuerySet["AuditEntry"].as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["tenant", "-at"], name="audit_newest")]

    def __str__(self) -> str:
        return f"{self.actor_name or self.actor_id} {self.action} {self.object_id}"
