"""StoppedModel: a model that cost more than its quotes too often, refused until somebody of the tenant resumes it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.models.scoping import Mode, ScopedQuerySet


class StoppedModel(models.Model):
    """One stop of one model in one mode, with the day's figures it rests on; kept after it was lifted."""

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="stopped_models")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=256)
    day = models.DateField()
    calls = models.BigIntegerField()
    overruns = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    resumed_at = models.DateTimeField(null=True, blank=True)
    # The day's figures when it was resumed: what came before it counts no more.
    resumed_calls = models.BigIntegerField(default=0)
    resumed_overruns = models.BigIntegerField(default=0)

    objects: ClassVar[models.Manager[StoppedModel]] = ScopedQuerySet["StoppedModel"].as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "mode", "provider", "model"],
                condition=models.Q(resumed_at__isnull=True),
                name="stopped_model_once",
            ),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="stopped_model_mode"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"
