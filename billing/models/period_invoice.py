"""PeriodInvoice: a subscription's invoice as Stripe told it, beside what was pushed into its period."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.models.scoping import Mode, ScopedQuerySet


class PeriodInvoice(models.Model):
    """One invoice of a period, from its draft on; what its line of our price says is held against the pushes."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    connection = models.ForeignKey("billing.StripeConnection", on_delete=models.PROTECT, related_name="+")
    customer = models.ForeignKey("tenants.Customer", on_delete=models.PROTECT, related_name="period_invoices")
    meter = models.ForeignKey("billing.StripeMeter", on_delete=models.PROTECT, related_name="+")
    invoice_id = models.CharField(max_length=64)
    status = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    # When Stripe would have made it final before we asked for more time; null = we never did.
    due_before = models.DateTimeField(null=True)
    finalized_at = models.DateTimeField(null=True)
    # Of the lines of our meter's price; pushes are those stamped in the period that Stripe said it took.
    quantity_units = models.DecimalField(max_digits=40, decimal_places=12, default=0)
    amount_minor = models.BigIntegerField(default=0)
    pushed_units = models.BigIntegerField(default=0)
    unproven_pushes = models.IntegerField(default=0)
    lines = models.JSONField(default=list)
    checked_at = models.DateTimeField()

    objects: ClassVar[models.Manager[PeriodInvoice]] = ScopedQuerySet["PeriodInvoice"].as_manager()

    class Meta:
        db_table = "period_invoice"
        ordering = ["-period_end", "-id"]
        indexes = [models.Index(fields=["tenant", "mode", "-period_end"], name="period_invoice_newest")]
        constraints = [
            models.UniqueConstraint(fields=["connection", "invoice_id"], name="period_invoice_once"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="period_invoice_mode"),
            models.CheckConstraint(
                condition=models.Q(period_end__gt=models.F("period_start")), name="period_invoice_period"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.invoice_id} {self.status}"

    @property
    def is_final(self) -> bool:
        """Whether it is what the customer owes; a void one is nothing."""
        return self.finalized_at is not None
