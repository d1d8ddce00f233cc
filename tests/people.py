"""People for tests of the portal: signed-in browsers of members in a role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from tenants.models import Member, Tenant, User

PASSWORD = "correct horse battery"


def make_member(tenant: Tenant, role: str = "owner", *, email: str = "") -> Member:
    """A member with a password."""
    address = email or f"{role}@{tenant.slug}.example"
    user = User.objects.filter(email=address).first() or User.objects.create_user(address, PASSWORD)
    return Member.objects.create(tenant=tenant, user=user, role=role)


@dataclass
class Browser:
    """A signed-in member's browser, at the desk of a tenant and a mode."""

    client: Client
    slug: str
    mode: str = "test"

    def url(self, name: str, **ids: str) -> str:
        """A portal page's address at this desk."""
        return reverse(f"portal:{name}", kwargs={"slug": self.slug, "mode": self.mode, **ids})

    def get(self, name: str, *, htmx: bool = False, query: str = "", **ids: str) -> HttpResponse:
        """Open a page, or as htmx a fragment."""
        headers = {"HX-Request": "true"} if htmx else {}
        return self.client.get(self.url(name, **ids) + query, headers=headers)

    def post(self, name: str, given: dict[str, Any] | None = None, **ids: str) -> HttpResponse:
        """Send a form."""
        return self.client.post(self.url(name, **ids), given or {})


def browser_of(member: Member, *, tenant: Tenant | None = None, mode: str = "test") -> Browser:
    """Sign a member in, at their own tenant's desk or (to try) at another's."""
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return Browser(client, (tenant or member.tenant).slug, mode)


def text_of(response: HttpResponse) -> str:
    """A page's text as it came."""
    return response.getvalue().decode()
