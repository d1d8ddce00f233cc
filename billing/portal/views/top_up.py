"""The pages on which a customer buys credit: opened by a link, without an account, good for that customer alone."""

from __future__ import annotations

from functools import partial

from django.conf import settings as django_settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from billing.models import PrepaidBudget, TopUp
from billing.portal.prepaid_forms import PRESETS_USD, AmountForm
from billing.prepaid.links import find_by_link, path_of
from billing.prepaid.reading import figures_of
from billing.prepaid.tasks import sync
from billing.prepaid.topping_up import start_top_up
from billing.stripe.keys import is_simulated
from tenants.actions.recording import Actor
from tenants.portal.pages import attempt

ENTRIES_SHOWN = 50
BUYER = Actor("system", "top_up_link", "Top-up link")


def top_up(request: HttpRequest, token: str) -> HttpResponse:
    """Show a customer its credit and what became of its payments; a POST opens a page to pay on."""
    prepaid = find_by_link(token)
    if prepaid is None:
        return _render(request, {"prepaid": None}, status=404)
    form = AmountForm(request.POST or None)
    opened: TopUp | None = None
    if request.method == "POST" and form.is_valid():
        back = f"{django_settings.FAREBOX_BASE_URL}{path_of(token)}paid/"
        opened = attempt(
            form,
            lambda: start_top_up(
                prepaid=prepaid, actor=BUYER, amount_nanousd=form.cleaned_data["amount_usd"], return_url=back
            ),
        )
    context = {"form": form, "opened": opened, "presets": PRESETS_USD, **_shown(prepaid)}
    return _render(request, context, status=422 if form.errors else 200)


@require_safe
def top_up_paid(request: HttpRequest, token: str) -> HttpResponse:
    """Receive a customer who comes back from paying: the payment is looked at, never the coming back."""
    prepaid = find_by_link(token)
    if prepaid is None:
        return _render(request, {"prepaid": None}, status=404)
    for row in TopUp.objects.filter(prepaid=prepaid, status__in=TopUp.LIVING).exclude(session_id="")[:3]:
        # Where the broker is away the page is shown all the same; beat reads the payment a little later.
        transaction.on_commit(partial(sync.apply_async, (row.pk,), retry=False), robust=True)
    context = {"form": AmountForm(), "presets": PRESETS_USD, "is_back": True, **_shown(prepaid)}
    return _render(request, context)


def _shown(prepaid: PrepaidBudget) -> dict[str, object]:
    return {
        "prepaid": prepaid,
        "figures": figures_of(prepaid),
        "entries": prepaid.entries.all()[:ENTRIES_SHOWN],
        "on_their_way": prepaid.top_ups.filter(status=TopUp.Status.PROCESSING)[:ENTRIES_SHOWN],
        "simulated": is_simulated(),
    }


def _render(request: HttpRequest, context: dict[str, object], *, status: int = 200) -> HttpResponse:
    response = render(request, "billing/top_up.html", context, status=status)
    add_never_cache_headers(response)
    # The token is in the address: it must not leave with a click, not even to Stripe. With "no-referrer" a browser
    # would send our own forms without their origin, and they would be refused.
    response["Referrer-Policy"] = "same-origin"
    return response
