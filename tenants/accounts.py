"""Signing in and up, as allauth asks: who may sign up, where people land, whose word on an e-mail counts."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse

from tenants import reach
from tenants.actions.opening import open_tenant
from tenants.models import User
from tenants.origin import client_address
from tenants.publishing import publish_now


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """What allauth asks of us."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Anybody may sign up only where the installation says so; invitations have a door of their own."""
        return bool(django_settings.FAREBOX_SIGNUP == "open")

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Vouch for people whom the operator made: their address came with the command that made them."""
        if not EmailAddress.objects.filter(user=user).exists():
            vouch_for_email(user)
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def get_client_ip(self, request: HttpRequest) -> str:
        """The caller's address for rate limits; ``X-Forwarded-For`` counts only from a proxy we trust."""
        return client_address(request, django_settings.FAREBOX_TRUSTED_PROXIES)


class CompanyForm(forms.Form):
    """What sign-up asks beside e-mail and password; makes the tenant."""

    company = forms.CharField(
        label="Company", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "organization"})
    )
    field_order = ["company", "email", "password1", "password2"]

    def signup(self, request: HttpRequest, user: User) -> None:
        """Make the tenant of whoever just signed up."""
        with reach.all_tenants(reach.Why.SIGN_UP):
            publish_now(open_tenant(name=self.cleaned_data["company"], owner=user).entries)


def vouch_for_email(user: User) -> None:
    """Take a person's address as theirs: an invitation reached it, or the operator gave it."""
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
