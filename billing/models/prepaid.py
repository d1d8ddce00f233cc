"""Prepaid credit: a customer's budget that only payments raise, the payments asked for, and what became of each."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Sum

from tenants.ids import new_id
from tenants.models.scoping import Mode, ScopedQuerySet


def new_prepaid_id() -> str:
    """Make the id of a new prepaid budget."""
    return new_id("ppd")


def new_top_up_id() -> str:
    """Make the id of a new top-up."""
    return new_id("top")


class PrepaidBudget(models.Model):
    """A customer who pays first: the limit of its budget is the sum of its entries, and nothing else."""

    id = models.CharField(primary_key=True, max_length=32, default=new_prepaid_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="prepaid_budgets")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    customer = models.OneToOneField("tenants.Customer", on_delete=models.PROTECT, related_name="prepaid")
    budget = models.OneToOneField("tenants.Budget", on_delete=models.PROTECT, related_name="prepaid")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[PrepaidBudget]] = ScopedQuerySet["PrepaidBudget"].as_manager()

    class Meta:
        db_table = "prepaid_budget"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="prepaid_budget_scope"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="prepaid_budget_mode"),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.customer_id}"

    def credit_nanousd(self) -> int:
        """The sum of its entries: what was paid and not taken back."""
        rows = PrepaidEntry.objects.filter(prepaid_id=self.pk)
        return int(rows.aggregate(sum=Sum("amount_nanousd"))["sum"] or 0)


class TopUp(models.Model):
    """One page to pay on, opened at Stripe for a customer; what it brings is written when Stripe says it is paid."""

    class Status(models.TextChoices):
        """As last read; ``processing``: the customer is done, the money is on its way."""

        OPENING = "opening"
        OPEN = "open"
        PROCESSING = "processing"
        PAID = "paid"
        EXPIRED = "expired"
        FAILED = "failed"

    LIVING = (Status.OPEN, Status.PROCESSING)

    id = models.CharField(primary_key=True, max_length=32, default=new_top_up_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="top_ups")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    prepaid = models.ForeignKey(PrepaidBudget, on_delete=models.PROTECT, related_name="top_ups")
    connection = models.ForeignKey(
        "billing.StripeConnection", on_delete=models.PROTECT, related_name="top_ups"
    )
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, default="usd")
    session_id = models.CharField(max_length=255, blank=True)
    payment_intent_id = models.CharField(max_length=64, blank=True)
    url = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPENING)
    checked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[TopUp]] = ScopedQuerySet["TopUp"].as_manager()

    class Meta:
        db_table = "top_up"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "mode", "-created_at", "-id"], name="top_up_newest"),
            models.Index(fields=["connection", "payment_intent_id"], name="top_up_payment"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="top_up_scope"),
            models.UniqueConstraint(
                fields=["connection", "session_id"], condition=~models.Q(session_id=""), name="top_up_session"
            ),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="top_up_mode"),
            models.CheckConstraint(
                condition=models.Q(status__in=["opening", "open", "processing", "paid", "expired", "failed"]),
                name="top_up_status",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__gt=0, currency="usd"), name="top_up_amount"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.status}"


class PrepaidEntry(models.Model):
    """One change of a customer's credit, for ever. All entries of one object at Stripe add up to what it says."""

    class Kind(models.TextChoices):
        """What moved the money."""

        PAYMENT = "payment"
        REFUND = "refund"
        DISPUTE = "dispute"

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    prepaid = models.ForeignKey(PrepaidBudget, on_delete=models.PROTECT, related_name="entries")
    top_up = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    # pi_…, re_…, dp_…, and which of its entries this is: an object that is read twice is written once.
    source_id = models.CharField(max_length=64)
    number = models.IntegerField()
    amount_nanousd = models.BigIntegerField()
    at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[PrepaidEntry]] = ScopedQuerySet["PrepaidEntry"].as_manager()

    class Meta:
        db_table = "prepaid_entry"
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["prepaid", "-at", "-id"], name="prepaid_entry_newest")]
        constraints = [
            models.UniqueConstraint(fields=["top_up", "source_id", "number"], name="prepaid_entry_once"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="prepaid_entry_mode"),
            models.CheckConstraint(
                condition=models.Q(kind__in=["payment", "refund", "dispute"]), name="prepaid_entry_kind"
            ),
            models.CheckConstraint(condition=~models.Q(amount_nanousd=0), name="prepaid_entry_amount"),
        ]

    def __str__(self) -> str:
        return f"{self.source_id}.{self.number}: {self.amount_nanousd}"
