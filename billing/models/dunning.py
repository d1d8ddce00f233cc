"""Dunning: what a tenant wants done while a customer does not pay, and who does not."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from metering.money import LIMIT_NANOUSD_MAX
from tenants.ids import new_id
from tenants.models.scoping import Mode, ScopedQuerySet


def new_case_id() -> str:
    """Make the id of a new case."""
    return new_id("dun")


class DunningPolicy(models.Model):
    """What follows from each reason, for a tenant in one mode. Without a row nothing follows from anything."""

    class Measure(models.TextChoices):
        """``throttle``: fewer calls a minute; ``cap``: a further budget; ``suspend``: no calls at all."""

        NOTHING = "nothing"
        THROTTLE = "throttle"
        CAP = "cap"
        SUSPEND = "suspend"

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="dunning_policies")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    past_due = models.CharField(max_length=8, choices=Measure.choices, default=Measure.NOTHING)
    unpaid = models.CharField(max_length=8, choices=Measure.choices, default=Measure.NOTHING)
    canceled = models.CharField(max_length=8, choices=Measure.choices, default=Measure.NOTHING)
    disputed = models.CharField(max_length=8, choices=Measure.choices, default=Measure.NOTHING)
    throttle_requests_per_minute = models.IntegerField(default=10)
    cap_nanousd = models.BigIntegerField(default=10_000_000_000)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[DunningPolicy]] = ScopedQuerySet["DunningPolicy"].as_manager()

    class Meta:
        db_table = "dunning_policy"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode"], name="dunning_policy_one"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="dunning_policy_mode"),
            models.CheckConstraint(
                condition=models.Q(throttle_requests_per_minute__gte=1), name="dunning_policy_throttle"
            ),
            models.CheckConstraint(
                condition=models.Q(cap_nanousd__range=(0, int(LIMIT_NANOUSD_MAX))), name="dunning_policy_cap"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} ({self.mode})"

    def measure_for(self, reason: str) -> str:
        """What follows from a reason."""
        return str(getattr(self, reason))


class DunningCase(models.Model):
    """One subscription or dispute of a customer that is not as it should be, until it is again."""

    class Reason(models.TextChoices):
        """Each is a column of the policy."""

        PAST_DUE = "past_due"
        UNPAID = "unpaid"
        CANCELED = "canceled"
        DISPUTED = "disputed"

    id = models.CharField(primary_key=True, max_length=32, default=new_case_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="dunning_cases")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    customer = models.ForeignKey("tenants.Customer", on_delete=models.PROTECT, related_name="dunning_cases")
    connection = models.ForeignKey("billing.StripeConnection", on_delete=models.PROTECT, related_name="+")
    # sub_… or dp_…
    source_id = models.CharField(max_length=64)
    reason = models.CharField(max_length=8, choices=Reason.choices)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[DunningCase]] = ScopedQuerySet["DunningCase"].as_manager()

    class Meta:
        db_table = "dunning_case"
        ordering = ["-opened_at", "-id"]
        indexes = [models.Index(fields=["tenant", "mode", "-opened_at", "-id"], name="dunning_case_newest")]
        constraints = [
            models.UniqueConstraint(fields=["customer", "connection", "source_id"], name="dunning_case_once"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="dunning_case_mode"),
            models.CheckConstraint(
                condition=models.Q(reason__in=["past_due", "unpaid", "canceled", "disputed"]),
                name="dunning_case_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.reason}"
