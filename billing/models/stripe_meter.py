"""StripeMeter: where a tenant's usage in one currency goes at Stripe, and the price that invoices it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.ids import new_id
from tenants.models.scoping import Mode, ScopedQuerySet

USAGE_LINE = "usage"


def new_meter_id() -> str:
    """Make the id of a new meter."""
    return new_id("smt")


class StripeMeter(models.Model):
    """A meter at Stripe that sums, with its product and price: one per currency and line of a connection."""

    class Status(models.TextChoices):
        """``broken``: Stripe takes no events for it; ``archived``: we send none any more."""

        ACTIVE = "active"
        BROKEN = "broken"
        ARCHIVED = "archived"

    id = models.CharField(primary_key=True, max_length=32, default=new_meter_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="stripe_meters")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    connection = models.ForeignKey(
        "billing.StripeConnection", on_delete=models.PROTECT, related_name="meters"
    )
    currency = models.CharField(max_length=3)
    line = models.CharField(max_length=40, default=USAGE_LINE)
    # What one unit of an event is worth in the currency's minor unit: 1 cent, 1 yen, 10 fils.
    unit_minor = models.IntegerField(default=1)
    stripe_meter_id = models.CharField(max_length=64)
    event_name = models.CharField(max_length=100)
    product_id = models.CharField(max_length=64, blank=True)
    price_id = models.CharField(max_length=64, blank=True)
    # It was there before us.
    adopted = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    why = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[StripeMeter]] = ScopedQuerySet["StripeMeter"].as_manager()

    class Meta:
        db_table = "stripe_meter"
        ordering = ["currency", "line", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "currency", "line"],
                condition=~models.Q(status="archived"),
                name="stripe_meter_one_per_line",
            ),
            models.UniqueConstraint(fields=["connection", "stripe_meter_id"], name="stripe_meter_once"),
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="stripe_meter_scope"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="stripe_meter_mode"),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "broken", "archived"]), name="stripe_meter_status"
            ),
            models.CheckConstraint(condition=models.Q(unit_minor__gt=0), name="stripe_meter_unit"),
            models.CheckConstraint(
                condition=models.Q(currency__regex=r"^[a-z]{3}$"), name="stripe_meter_currency"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_name} ({self.currency})"
