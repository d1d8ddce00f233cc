"""The control plane's rows, one noun a file."""

from __future__ import annotations

from tenants.models.audit_entry import AuditEntry
from tenants.models.base_price import BasePrice, BasePriceEntry
from tenants.models.budget import Budget
from tenants.models.customer import Customer
from tenants.models.idempotent_answer import IdempotentAnswer
from tenants.models.invitation import Invitation
from tenants.models.key import Key, RetiredSecret
from tenants.models.member import Member
from tenants.models.outbox import Outbox
from tenants.models.price_entry import PriceEntry
from tenants.models.provider_account import ProviderAccount
from tenants.models.scoping import Mode, ScopedQuerySet, TenantQuerySet
from tenants.models.stopped_model import StoppedModel
from tenants.models.tenant import Tenant
from tenants.models.tenant_settings import TenantSettings
from tenants.models.user import User

__all__ = [
    "AuditEntry",
    "BasePrice",
    "BasePriceEntry",
    "Budget",
    "Customer",
    "IdempotentAnswer",
    "Invitation",
    "Key",
    "Member",
    "Mode",
    "Outbox",
    "PriceEntry",
    "ProviderAccount",
    "RetiredSecret",
    "ScopedQuerySet",
    "StoppedModel",
    "Tenant",
    "TenantQuerySet",
    "TenantSettings",
    "User",
]
