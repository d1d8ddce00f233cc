"""Key: what a caller presents. Only digests are kept; the secret is shown once."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.ids import new_key_id
from tenants.models.scoping import Mode, ScopedQuerySet


class Key(models.Model):
    """A customer key, a server key or an API key; its budgets and limits outlive the rotation of its secret."""

    class Kind(models.TextChoices):
        """Whom the key stands for."""

        CUSTOMER = "customer"
        SERVER = "server"
        API = "api"

    id = models.CharField(primary_key=True, max_length=32, default=new_key_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="keys")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    customer = models.ForeignKey(
        "tenants.Customer", on_delete=models.PROTECT, null=True, blank=True, related_name="keys"
    )
    name = models.CharField(max_length=200, blank=True)
    prefix = models.CharField(max_length=40)
    digest = models.CharField(max_length=64, unique=True)
    version = models.BigIntegerField()
    scopes = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    models_allowed = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    requests_per_minute = models.IntegerField(default=0)
    burst = models.IntegerField(default=0)
    in_flight_max = models.IntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[Key]] = ScopedQuerySet["Key"].as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["tenant", "mode", "-created_at"], name="key_newest")]
        constraints = [
            models.UniqueConstraint(fields=["id", "tenant", "mode"], name="key_scope"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="key_mode"),
            models.CheckConstraint(
                condition=models.Q(kind="customer", customer__isnull=False)
                | models.Q(kind__in=["server", "api"], customer__isnull=True),
                name="key_kind_and_customer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}".strip()

    @property
    def state(self) -> str:
        """``revoked`` once revoked, for ever; else ``active``."""
        return "revoked" if self.revoked_at else "active"


class RetiredSecret(models.Model):
    """A secret that a rotation replaced, good until ``expires_at`` so that callers can change over."""

    key = models.ForeignKey(Key, on_delete=models.PROTECT, related_name="retired_secrets")
    prefix = models.CharField(max_length=40)
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.prefix}… until {self.expires_at:%Y-%m-%d %H:%M}"
