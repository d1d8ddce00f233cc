"""Starting a tenant from nothing: its rows, its owner and an API key that may do everything, in one transaction."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction

from tenants.actions.keys import create_key
from tenants.actions.recording import Actor
from tenants.actions.tenants import add_owner, create_tenant
from tenants.models import Tenant

OPERATOR = Actor("operator", "operator", "Operator")
PASSWORD_BYTES = 15


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """A new tenant with its secrets, shown once."""

    tenant: Tenant
    api_key: str
    password: str
    entries: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Bootstrapped({self.tenant.pk})"


@transaction.atomic
def bootstrap_tenant(*, name: str, email: str, mode: str = "test") -> Bootstrapped:
    """Make a tenant, its owner with a fresh password, and a full-scope API key of one mode.

    Raises: AlreadyExists when the tenant or the e-mail is taken; InvalidInput.
    """
    made = create_tenant(name=name, actor=OPERATOR)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    add_owner(tenant=made.row, email=email, password=password, actor=OPERATOR)
    key = create_key(tenant=made.row, mode=mode, kind="api", actor=OPERATOR, values={"name": "bootstrap"})
    return Bootstrapped(made.row, key.secret, password, made.entries + key.change.entries)
