"""IdempotentAnswer: what a POST with an Idempotency-Key was answered, kept for a day."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.models.scoping import TenantQuerySet


class IdempotentAnswer(models.Model):
    """One POST. Open while ``status`` is empty. The body is encrypted: it may hold a secret shown once."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    api_key = models.ForeignKey("tenants.Key", on_delete=models.PROTECT, related_name="+")
    idempotency_key = models.CharField(max_length=255)
    # Digest of method, path and body: the same key with another request is a mistake, not a retry.
    request_digest = models.CharField(max_length=64)
    status = models.SmallIntegerField(null=True)
    sealed_body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[IdempotentAnswer]] = TenantQuerySet["IdempotentAnswer"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotent_answer_age")]
        constraints = [
            models.UniqueConstraint(fields=["api_key", "idempotency_key"], name="idempotent_answer_once"),
        ]

    def __str__(self) -> str:
        return self.idempotency_key
