"""ProviderAccount: a tenant's upstream credential and where it leads."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.ids import new_account_id
from tenants.models.scoping import Mode, ScopedQuerySet


class ProviderAccount(models.Model):
    """A tenant's upstream credential, encrypted, and where it leads."""

    class Dialect(models.TextChoices):
        """The provider's way of speaking."""

        OPENAI = "openai"
        ANTHROPIC = "anthropic"
        GEMINI = "gemini"

    class State(models.TextChoices):
        """A disabled account is not published."""

        ACTIVE = "active"
        DISABLED = "disabled"

    id = models.CharField(primary_key=True, max_length=32, default=new_account_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="provider_accounts")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    provider = models.CharField(max_length=40)
    dialect = models.CharField(max_length=16, choices=Dialect.choices)
    name = models.CharField(max_length=60)
    base_url = models.CharField(max_length=500)
    credential = models.TextField()
    credential_hint = models.CharField(max_length=24)
    is_default = models.BooleanField(default=False)
    # Whether the provider's own free count is asked for before a call is quoted.
    counts_exactly = models.BooleanField(default=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[ProviderAccount]] = ScopedQuerySet["ProviderAccount"].as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode", "name"], name="account_name"),
            models.UniqueConstraint(
                fields=["tenant", "mode", "dialect"],
                condition=models.Q(is_default=True),
                name="account_one_default_per_dialect",
            ),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="account_mode"),
            models.CheckConstraint(
                condition=models.Q(dialect__in=["openai", "anthropic", "gemini"]), name="account_dialect"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def credential_context(self) -> str:
        """What the encrypted credential is bound to: moved to another row, it cannot be opened."""
        return f"{self.tenant_id}:{self.mode}:{self.id}"
