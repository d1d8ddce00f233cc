"""PriceEntry: a tenant's own price for a model from one instant on. Never changed: a newer entry follows it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from django.db import models

from tenants.ids import new_price_id
from tenants.models.scoping import Mode, ScopedQuerySet


class PriceEntryQuerySet(ScopedQuerySet["PriceEntry"]):
    """Entries by when they are in force."""

    def in_force_or_coming(self, at: datetime) -> Iterable[PriceEntry]:
        """For each model the entry in force at an instant, and those that follow it."""
        passed: set[tuple[str, str]] = set()
        for entry in self.order_by("provider", "model", "-from_at"):
            if (entry.provider, entry.model) in passed:
                continue
            if entry.from_at <= at:
                passed.add((entry.provider, entry.model))
            yield entry


class PriceEntry(models.Model):
    """A tenant's own price for a model from one instant on."""

    id = models.CharField(primary_key=True, max_length=32, default=new_price_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="prices")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    from_at = models.DateTimeField()
    # Bucket name -> nano-dollars per million tokens.
    rates = models.JSONField(default=dict)
    # Bucket name -> [[prompt tokens above, nano-dollars per million tokens], ...] ascending.
    tiers = models.JSONField(default=dict, blank=True)
    # Name of a counted extra -> nano-dollars per unit.
    extras_nanousd = models.JSONField(default=dict, blank=True)
    per_request_nanousd = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[PriceEntryQuerySet] = PriceEntryQuerySet.as_manager()  # type: ignore[assignment]  # a manager acts as its QuerySet

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "mode", "provider", "model", "from_at"], name="price_one_per_instant"
            ),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="price_mode"),
            models.CheckConstraint(condition=models.Q(per_request_nanousd__gte=0), name="price_per_request"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} from {self.from_at:%Y-%m-%d %H:%M}"
