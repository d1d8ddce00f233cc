"""Outbox: what is still to be told to Redis. Written with the change, deleted once Redis has it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from tenants.models.scoping import Mode, ScopedQuerySet


class Outbox(models.Model):
    """One thing to publish. It names a row, not a document: what is published is the row as it is by then."""

    class Kind(models.TextChoices):
        """What to publish."""

        KEY = "key"
        CUSTOMER = "customer"
        TENANT = "tenant"
        BUDGET_NEW = "budget_new"
        BUDGET_LIMIT = "budget_limit"
        BUDGET_GONE = "budget_gone"

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    object_id = models.CharField(max_length=64)
    attempts = models.IntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Outbox]] = ScopedQuerySet["Outbox"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["due_at", "id"], name="outbox_due"),
            # Asked at every reading of a row: is a change of it still pending?
            models.Index(fields=["object_id"], name="outbox_object"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"
