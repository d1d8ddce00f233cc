"""The way in: from ``/`` to the desk somebody used last, or to what to do where there is none."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from tenants import reach
from tenants.models import Member, ProviderAccount, Tenant, User
from tenants.portal.access import LAST_DESK


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the desk used last, else to the first tenant, else say that there is none."""
    with reach.all_tenants(reach.Why.OWN_TENANTS):
        return _lead_home(request, cast("User", request.user))


def _lead_home(request: HttpRequest, user: User) -> HttpResponse:
    members = Member.objects.filter(user=user).select_related("tenant").order_by("created_at")
    last = request.session.get(LAST_DESK) or {}
    if last and any(member.tenant.slug == last.get("slug") for member in members):
        return redirect("portal:overview", slug=last["slug"], mode=last["mode"])
    first = members.first()
    if first is None:
        return render(request, "portal/no_tenant.html", {"email": user.email}, status=200)
    return redirect("portal:overview", slug=first.tenant.slug, mode=usual_mode(first.tenant))


def usual_mode(tenant: Tenant) -> str:
    """Live once there is a live provider account; before that there is only test to see."""
    live = ProviderAccount.objects.for_scope(tenant, "live").filter(state=ProviderAccount.State.ACTIVE)
    return "live" if live.exists() else "test"
