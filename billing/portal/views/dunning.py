"""What follows while customers do not pay, and who does not."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from billing.dunning.policies import policy_of, set_policy
from billing.models import DunningCase
from billing.portal.prepaid_forms import DunningForm
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import attempt, go, page

CASES_SHOWN = 100


@at_desk()
def dunning(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Show the policy and the open cases; a POST changes the policy."""
    form = DunningForm(request.POST or None, policy=policy_of(desk.tenant, desk.mode))
    if request.method == "POST":
        desk.require(Right.BILLING)
        if form.is_valid():
            row = attempt(
                form,
                lambda: set_policy(tenant=desk.tenant, mode=desk.mode, actor=desk.actor, values=form.values),
            )
            if row is not None:
                messages.success(request, "Saved, and in force for customers who do not pay now.")
                return go(desk, "dunning")
    cases = DunningCase.objects.for_scope(desk.tenant, desk.mode).filter(closed_at=None)
    context = {"form": form, "cases": cases.select_related("customer")[:CASES_SHOWN]}
    return page(request, desk, "billing/dunning.html", context, status=422 if form.errors else 200)
