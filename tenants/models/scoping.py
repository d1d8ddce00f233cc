"""Reaching a tenant's rows: always through its tenant, and where there is one, its mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from tenants.models.tenant import Tenant

_Row = TypeVar("_Row", bound=models.Model)


class Mode(models.TextChoices):
    """Test rows and live rows never meet."""

    TEST = "test"
    LIVE = "live"


class TenantQuerySet(models.QuerySet[_Row]):
    """Rows that belong to a tenant."""

    def for_tenant(self, tenant: Tenant) -> Self:
        """Only this tenant's rows; the one door to them."""
        return self.filter(tenant=tenant)


class ScopedQuerySet(TenantQuerySet[_Row]):
    """Rows that belong to a tenant in one mode."""

    def for_scope(self, tenant: Tenant, mode: str) -> Self:
        """Only this tenant's rows of this mode."""
        return self.filter(tenant=tenant, mode=mode)
