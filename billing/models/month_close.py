"""MonthClose: a tenant's month as it stood when somebody closed it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from tenants.models.scoping import Mode, ScopedQuerySet


class MonthClose(models.Model):
    """A closed month: its figures and every difference by name. PostgreSQL refuses to change or delete it."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="month_closes")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    # The first day, in UTC.
    month = models.DateField()
    closed_at = models.DateTimeField()
    # What was booked up to here is in it; what comes later belongs to the month that runs then.
    recorded_until = models.DateTimeField(db_default=Now())
    # From the beginning on, so that each month is the difference to the one before.
    ledger_nanousd = models.DecimalField(max_digits=40, decimal_places=0)
    figures = models.JSONField()
    differences = models.JSONField()

    objects: ClassVar[models.Manager[MonthClose]] = ScopedQuerySet["MonthClose"].as_manager()

    class Meta:
        db_table = "month_close"
        ordering = ["-month"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode", "month"], name="month_close_one"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="month_close_mode"),
            models.CheckConstraint(condition=models.Q(month__day=1), name="month_close_first_day"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.mode} {self.month:%Y-%m}"
