"""What is not sealed yet, and how far each customer is: the two ends of sealing."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing.models.stripe_meter import USAGE_LINE
from tenants.models.scoping import Mode, ScopedQuerySet


class Unsealed(models.Model):
    """A customer's billable charge of one second that no push has taken yet. The recorder adds, the sealer takes."""

    pk = models.CompositePrimaryKey("tenant_id", "mode", "customer_id", "line", "at")
    tenant_id = models.TextField()
    mode = models.TextField()
    customer_id = models.TextField()
    line = models.TextField()
    at = models.DateTimeField()
    row_count = models.BigIntegerField()
    charge_nanousd = models.BigIntegerField()
    recorded_from = models.DateTimeField()
    recorded_until = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "unsealed"

    def __str__(self) -> str:
        return f"{self.customer_id} {self.at}: {self.charge_nanousd} nanousd"


class BillingCursor(models.Model):
    """How much of a customer was sealed in one line and currency, and how much of that was pushed."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    customer = models.ForeignKey("tenants.Customer", on_delete=models.PROTECT, related_name="+")
    line = models.CharField(max_length=40, default=USAGE_LINE)
    currency = models.CharField(max_length=3)
    sealed_nanousd = models.DecimalField(max_digits=40, decimal_places=0, default=0)
    # Both in atto of the currency; the difference is carried.
    cumulative_atto = models.DecimalField(max_digits=60, decimal_places=0, default=0)
    pushed_atto = models.DecimalField(max_digits=60, decimal_places=0, default=0)
    # A clamp held a whole unit or more back.
    is_owed = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[BillingCursor]] = ScopedQuerySet["BillingCursor"].as_manager()

    class Meta:
        db_table = "billing_cursor"
        indexes = [
            models.Index(fields=["tenant"], condition=models.Q(is_owed=True), name="billing_cursor_owed")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "mode", "customer", "line", "currency"], name="billing_cursor_one"
            ),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="billing_cursor_mode"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} {self.line} {self.currency}"

    @property
    def carry_atto(self) -> int:
        """What is in the books and not pushed, in atto of the currency."""
        return int(self.cumulative_atto) - int(self.pushed_atto)


class PeriodClose(models.Model):
    """Up to where a customer's invoices are final: usage before it goes to the period that is open."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    customer = models.OneToOneField("tenants.Customer", on_delete=models.PROTECT, related_name="period_close")
    closed_until = models.DateTimeField()

    objects: ClassVar[models.Manager[PeriodClose]] = ScopedQuerySet["PeriodClose"].as_manager()

    class Meta:
        db_table = "period_close"

    def __str__(self) -> str:
        return f"{self.customer_id} until {self.closed_until}"
