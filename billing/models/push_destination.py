"""PushDestination: where pushes go for a tenant that has no Stripe account connected."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.ids import new_id
from tenants.models.scoping import Mode, ScopedQuerySet


def new_destination_id() -> str:
    """Make the id of a new destination."""
    return new_id("pds")


class PushDestination(models.Model):
    """A signed webhook that takes a tenant's pushes in one mode; its secret is kept sealed only."""

    class Status(models.TextChoices):
        """``broken``: it refuses our signature; ``disabled``: its owner wants none."""

        ACTIVE = "active"
        BROKEN = "broken"
        DISABLED = "disabled"

    id = models.CharField(primary_key=True, max_length=32, default=new_destination_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="push_destinations")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    url = models.CharField(max_length=500)
    secret = models.TextField()
    currency = models.CharField(max_length=3, default="usd")
    unit_minor = models.IntegerField(default=1)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    why = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[PushDestination]] = ScopedQuerySet["PushDestination"].as_manager()

    class Meta:
        db_table = "push_destination"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode"], name="push_destination_one"),
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="push_destination_scope"),
            models.CheckConstraint(
                condition=models.Q(mode__in=["test", "live"]), name="push_destination_mode"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "broken", "disabled"]),
                name="push_destination_status",
            ),
            models.CheckConstraint(condition=models.Q(unit_minor__gt=0), name="push_destination_unit"),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.url}"

    @property
    def secret_context(self) -> str:
        """What the sealed secret is bound to: moved to another row, it cannot be opened."""
        return f"{self.tenant_id}:{self.mode}:{self.id}:push-webhook"
