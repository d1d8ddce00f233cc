"""ReconRow: what books, pushes and Stripe say of one customer, meter and hour, as they were last compared."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.models.scoping import Mode, ScopedQuerySet


class ReconRow(models.Model):
    """One hour compared. What differs is shown until it agrees or a person has mended it; nothing here mends."""

    class State(models.TextChoices):
        """``billing.stripe.comparing`` says how each comes about."""

        OK = "ok"
        LAGGING = "lagging"
        MISSING = "missing"
        EXCESS = "excess"
        FOREIGN = "foreign"

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="recon_rows")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    customer = models.ForeignKey("tenants.Customer", on_delete=models.PROTECT, related_name="recon_rows")
    meter = models.ForeignKey("billing.StripeMeter", on_delete=models.PROTECT, related_name="recon_rows")
    # Of stamps: what was used earlier and stamped later counts where it was stamped.
    hour = models.DateTimeField()
    # What the books charge for the usage of this hour; late usage stands in its own hour here.
    ledger_nanousd = models.BigIntegerField()
    # What Stripe said it took, and what may or may not be there.
    pushed_units = models.BigIntegerField()
    doubtful_units = models.BigIntegerField(default=0)
    stripe_units = models.DecimalField(max_digits=40, decimal_places=12)
    state = models.CharField(max_length=8, choices=State.choices)
    why = models.CharField(max_length=40, blank=True)
    # The push that a person sent to take an excess back.
    fix = models.OneToOneField("billing.Push", null=True, on_delete=models.PROTECT, related_name="fixes")
    since = models.DateTimeField()
    checked_at = models.DateTimeField()

    objects: ClassVar[models.Manager[ReconRow]] = ScopedQuerySet["ReconRow"].as_manager()

    class Meta:
        db_table = "recon_row"
        ordering = ["-hour", "-id"]
        indexes = [
            models.Index(fields=["tenant", "mode", "-hour", "-id"], name="recon_row_newest"),
            models.Index(fields=["state"], condition=~models.Q(state="ok"), name="recon_row_differing"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["customer", "meter", "hour"], name="recon_row_one_an_hour"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="recon_row_mode"),
            models.CheckConstraint(
                condition=models.Q(state__in=["ok", "lagging", "missing", "excess", "foreign"]),
                name="recon_row_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} {self.hour}: {self.state}"
