"""CustomerMap: who a customer is at Stripe, and which subscription's item invoices its usage."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.ids import new_id
from tenants.models.scoping import Mode, ScopedQuerySet


def new_map_id() -> str:
    """Make the id of a new mapping."""
    return new_id("map")


class CustomerMap(models.Model):
    """One customer's counterpart at Stripe, as last read there. A customer without one is unmapped: usage waits."""

    class State(models.TextChoices):
        """``mapped``: usage reaches an invoice. The others: why it does not."""

        MAPPED = "mapped"
        UNMAPPED = "unmapped"
        NO_SUBSCRIPTION = "no_subscription"
        DELETED = "deleted"

    id = models.CharField(primary_key=True, max_length=32, default=new_map_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="customer_maps")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    customer = models.OneToOneField("tenants.Customer", on_delete=models.PROTECT, related_name="stripe_map")
    connection = models.ForeignKey(
        "billing.StripeConnection", on_delete=models.PROTECT, related_name="customer_maps"
    )
    stripe_customer_id = models.CharField(max_length=64, blank=True)
    subscription_id = models.CharField(max_length=64, blank=True)
    subscription_item_id = models.CharField(max_length=64, blank=True)
    subscription_status = models.CharField(max_length=32, blank=True)
    currency = models.CharField(max_length=3, default="usd")
    # The item's current period, as Stripe says; the end is exclusive.
    period_start = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.UNMAPPED)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[CustomerMap]] = ScopedQuerySet["CustomerMap"].as_manager()

    class Meta:
        db_table = "customer_map"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "mode", "-created_at"], name="customer_map_newest"),
            models.Index(fields=["checked_at"], name="customer_map_stalest"),
        ]
        constraints = [
            # Two customers on one Stripe customer could not be told apart in Stripe's sums.
            models.UniqueConstraint(
                fields=["connection", "stripe_customer_id"],
                condition=~models.Q(stripe_customer_id=""),
                name="customer_map_stripe_customer",
            ),
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="customer_map_scope"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="customer_map_mode"),
            models.CheckConstraint(
                condition=models.Q(state__in=["mapped", "unmapped", "no_subscription", "deleted"]),
                name="customer_map_state",
            ),
            models.CheckConstraint(
                condition=models.Q(state="unmapped") | ~models.Q(stripe_customer_id=""),
                name="customer_map_names_its_customer",
            ),
            models.CheckConstraint(
                condition=models.Q(currency__regex=r"^[a-z]{3}$"), name="customer_map_currency"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} {self.stripe_customer_id or self.state}"
