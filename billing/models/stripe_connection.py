"""StripeConnection: a tenant's own Stripe account, in one mode, and the key that opens it."""

from __future__ import annotations

import secrets
from typing import ClassVar

from django.db import models

from tenants.ids import new_id
from tenants.models.scoping import Mode, ScopedQuerySet

PUBLIC_ID_BYTES = 18


def new_connection_id() -> str:
    """Make the id of a new connection."""
    return new_id("sco")


def new_endpoint_public_id() -> str:
    """Make what a webhook's URL is known by: random, so that nobody finds another tenant's."""
    return secrets.token_urlsafe(PUBLIC_ID_BYTES)


class StripeConnection(models.Model):
    """A tenant's Stripe account in one mode; its key and its webhook secrets are kept sealed only."""

    class Kind(models.TextChoices):
        """How the account lets us in: a key that its owner made, or (later) a platform's own key and an account."""

        RESTRICTED_KEY = "restricted_key"
        CONNECT = "connect"

    class Status(models.TextChoices):
        """``broken``: Stripe refuses the key, nothing is pushed until another one works."""

        NEW = "new"
        OK = "ok"
        BROKEN = "broken"
        DISCONNECTED = "disconnected"

    id = models.CharField(primary_key=True, max_length=32, default=new_connection_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="stripe_connections")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.RESTRICTED_KEY)
    # Sealed; empty once disconnected.
    secret = models.TextField(blank=True)
    key_last4 = models.CharField(max_length=4, blank=True)
    # The account's own id where the key may read it; with Connect, whose account is meant.
    stripe_account = models.CharField(max_length=64, blank=True)
    api_version = models.CharField(max_length=40)
    endpoint_public_id = models.CharField(max_length=40, unique=True, default=new_endpoint_public_id)
    # The endpoint that we registered at Stripe; empty = events are polled.
    webhook_endpoint_id = models.CharField(max_length=64, blank=True)
    # [{"kind": "snapshot" | "thin", "endpoint": "we_…", "sealed": "v1.…", "until": null | "2026-…"}], newest first.
    webhook_secrets = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.NEW)
    why = models.CharField(max_length=300, blank=True)
    # Stripe's names of permissions that the key lacks, such as rak_billing_meter_read.
    scopes_missing = models.JSONField(default=list, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    # Up to when events were asked for; null = never.
    snapshots_polled_at = models.DateTimeField(null=True, blank=True)
    thin_polled_at = models.DateTimeField(null=True, blank=True)
    broken_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[StripeConnection]] = ScopedQuerySet["StripeConnection"].as_manager()

    class Meta:
        db_table = "stripe_connection"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode"], name="stripe_connection_one"),
            # What meters, mappings and pushes refer to, so that PostgreSQL keeps tenants and modes apart.
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="stripe_connection_scope"),
            models.CheckConstraint(
                condition=models.Q(mode__in=["test", "live"]), name="stripe_connection_mode"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["restricted_key", "connect"]), name="stripe_connection_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["new", "ok", "broken", "disconnected"]),
                name="stripe_connection_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.mode} …{self.key_last4}"

    @property
    def secret_context(self) -> str:
        """What the sealed key is bound to: moved to another row, it cannot be opened."""
        return f"{self.tenant_id}:{self.mode}:{self.id}:stripe-key"

    @property
    def webhook_context(self) -> str:
        """What sealed webhook secrets are bound to."""
        return f"{self.tenant_id}:{self.mode}:{self.id}:stripe-webhook"

    @property
    def is_usable(self) -> bool:
        """Whether Stripe may be asked anything through it."""
        return bool(self.secret) and self.status in {self.Status.NEW, self.Status.OK}
