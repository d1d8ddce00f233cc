"""Accepting an invitation: by somebody who signs in already, or by choosing a password."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from tenants import reach
from tenants.accounts import vouch_for_email
from tenants.actions.members import accept_invitation
from tenants.models import Invitation, Member, User
from tenants.portal.access import LAST_DESK
from tenants.portal.forms import AcceptForm
from tenants.portal.pages import attempt
from tenants.portal.views.home import usual_mode

BACKEND = "django.contrib.auth.backends.ModelBackend"


def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation and let the invited person accept it."""
    with reach.all_tenants(reach.Why.FIND_INVITATION):
        found = Invitation.objects.acceptable(token, timezone.now()).select_related("tenant").first()
        if found is not None:
            reach.narrow(found.tenant_id)
    if found is None:
        return _render(request, {"invitation": None}, status=404)
    signed_in = request.user if request.user.is_authenticated else None
    has_account = User.objects.filter(email=found.email).exists()
    needs_password = signed_in is None and not has_account
    form = AcceptForm(request.POST or None) if needs_password else AcceptForm()
    context = {
        "invitation": found,
        "form": form,
        "needs_password": needs_password,
        "is_other": signed_in is not None and signed_in.email != found.email,
        "is_signed_in": signed_in is not None,
    }
    if request.method == "POST" and (signed_in or needs_password):
        member = _accept(found, form, signed_in)
        if member is not None:
            return _enter(request, member, is_new=signed_in is None)
    return _render(request, context, status=422 if form.errors else 200)


def _accept(found: Invitation, form: AcceptForm, signed_in: User | None) -> Member | None:
    if signed_in is None and not form.is_valid():
        return None
    password = None if signed_in else form.cleaned_data["password1"]
    if signed_in is not None:
        form = AcceptForm({})
        form.full_clean()
        form.errors.clear()
    change = attempt(form, lambda: accept_invitation(invitation=found, user=signed_in, password=password))
    return change.row if change else None


def _enter(request: HttpRequest, member: Member, *, is_new: bool) -> HttpResponse:
    vouch_for_email(member.user)
    if is_new:
        login(request, member.user, backend=BACKEND)
    tenant = member.tenant
    request.session[LAST_DESK] = {"slug": tenant.slug, "mode": usual_mode(tenant)}
    messages.success(request, f"Welcome to {tenant.name}.")
    return redirect("portal:home")


def _render(request: HttpRequest, context: dict[str, object], *, status: int) -> HttpResponse:
    response = render(request, "portal/invitation.html", context, status=status)
    add_never_cache_headers(response)
    # The token is in the address: it must not leave with a click. With "no-referrer" a browser would send our own
    # forms without their origin, and they would be refused.
    response["Referrer-Policy"] = "same-origin"
    return response
