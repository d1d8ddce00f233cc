"""Customer: one of the tenant's own end customers."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from metering.ids import derived_id, external_digest
from tenants.models.scoping import Mode, ScopedQuerySet

# What stands before the digest of an erased customer's external id.
ERASED_MARK = "erased-"


class Customer(models.Model):
    """One of the tenant's own end customers; ``version`` is that of its published policy."""

    class State(models.TextChoices):
        """A suspended customer's calls are all refused."""

        ACTIVE = "active"
        SUSPENDED = "suspended"

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="customers")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    external_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    version = models.BigIntegerField()
    models_allowed = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    requests_per_minute = models.IntegerField(default=0)
    burst = models.IntegerField(default=0)
    in_flight_max = models.IntegerField(default=0)
    # No markup of its own = the tenant's.
    markup_bp = models.IntegerField(null=True, blank=True)
    markup_fixed_nanousd = models.BigIntegerField(default=0)
    markup_models = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    # Held against it beside what people decided, see tenants.actions.restrictions; 0 = no such limit.
    restricted_suspended = models.BooleanField(default=False)
    restricted_requests_per_minute = models.IntegerField(default=0)
    restricted_why = models.CharField(max_length=200, blank=True, default="")
    # Made by the proxy at its first call, rather than by a person or the API.
    arrived = models.BooleanField(default=False)
    # Who it was is gone for good; its id, its amounts and its rows stay. See docs/security.md.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[Customer]] = ScopedQuerySet["Customer"].as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["tenant", "mode", "-created_at"], name="customer_newest")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode", "external_id"], name="customer_external_id"),
            # What keys and budgets refer to, so that PostgreSQL keeps tenants and modes apart.
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="customer_scope"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="customer_mode"),
            models.CheckConstraint(
                condition=models.Q(state__in=["active", "suspended"]), name="customer_state"
            ),
            models.CheckConstraint(condition=~models.Q(external_id=""), name="customer_external_id_given"),
            models.CheckConstraint(
                condition=models.Q(markup_bp__isnull=True) | models.Q(markup_bp__gte=-10_000),
                name="customer_markup",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id

    @property
    def is_admitted(self) -> bool:
        """Whether its calls are admitted: neither a person nor a restriction suspends it."""
        return self.state == self.State.ACTIVE and not self.restricted_suspended

    @property
    def external_digest(self) -> str:
        """What Redis knows its external id by; of an erased one nothing else is left, and keeps calls out."""
        if self.erased_at is not None:
            return self.external_id.removeprefix(ERASED_MARK)
        return external_digest(self.external_id)

    @staticmethod
    def id_for(tenant_id: str, mode: str, external_id: str) -> str:
        """The id that the proxy, too, would give this customer."""
        return derived_id("cus", tenant_id, mode, external_id)
