"""Keys: a customer's, and the tenant's own. A secret is on the page that makes it and nowhere else."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from tenants.actions.keys import IssuedKey, create_key, revoke_key
from tenants.models import Customer, Key
from tenants.portal import once
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.forms import KeyForm, TenantKeyForm
from tenants.portal.pages import attempt, go, page, put_in_force, row_or_404
from tenants.portal.snippets import snippets_for
from tenants.portal.views.customers import customers_of

SHOWN_MAX = 200
MADE_ALREADY = (
    "That form was sent before. Its key was shown then; if it is lost, revoke it and create another."
)


def keys_of(desk: Desk) -> QuerySet[Key]:
    """The keys of a desk's tenant and mode."""
    return Key.objects.for_scope(desk.tenant, desk.mode)


@require_POST
@at_desk(Right.KEYS)
def new_customer_key(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Make a key for a customer and show it."""
    customer = row_or_404(customers_of(desk), pk=customer_id)
    form = KeyForm(request.POST)
    if form.is_valid():
        if not once.is_first_time(request):
            messages.warning(request, MADE_ALREADY)
            return go(desk, "customer", customer_id=customer.pk)
        issued = attempt(form, lambda: _create(desk, "customer", form.cleaned_data["name"], customer))
        if issued is not None:
            return _show(request, desk, issued, customer)
    messages.error(request, " ".join(str(message) for errors in form.errors.values() for message in errors))
    return go(desk, "customer", customer_id=customer.pk)


@at_desk()
def tenant_keys(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List the tenant's own keys: server keys that name a customer per call, API keys that manage Farebox."""
    form = TenantKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        desk.require(Right.KEYS)
        if not once.is_first_time(request):
            messages.warning(request, MADE_ALREADY)
            return go(desk, "keys")
        given = form.cleaned_data
        issued = attempt(form, lambda: _create(desk, given["kind"], given["name"]))
        if issued is not None:
            return _show(request, desk, issued)
    rows = keys_of(desk).exclude(kind=Key.Kind.CUSTOMER)
    context = {
        "form": form,
        "keys": [{"row": key, "used_at": key.last_used_at} for key in rows[:SHOWN_MAX]],
        "once": once.new_ticket(),
    }
    return page(request, desk, "portal/keys.html", context, status=422 if form.errors else 200)


@at_desk(Right.KEYS)
def revoke(request: HttpRequest, desk: Desk, key_id: str) -> HttpResponse:
    """Revoke a key for ever, after asking."""
    key = row_or_404(keys_of(desk).select_related("customer"), pk=key_id)
    if request.method == "POST":
        change = revoke_key(key=key, actor=desk.actor)
        put_in_force(request, change.entries, f"The key {key.prefix}… is revoked.")
        return _back(desk, key)
    if key.revoked_at:
        return _back(desk, key)
    return page(request, desk, "portal/key_revoke.html", {"key": key})


def _create(desk: Desk, kind: str, name: str, customer: Customer | None = None) -> IssuedKey:
    return create_key(
        tenant=desk.tenant,
        mode=desk.mode,
        kind=kind,
        actor=desk.actor,
        customer=customer,
        values={"name": name},
    )


def _show(
    request: HttpRequest, desk: Desk, issued: IssuedKey, customer: Customer | None = None
) -> HttpResponse:
    put_in_force(request, issued.change.entries, "The key is made.")
    snippets = snippets_for(desk.tenant, desk.mode, issued.secret) if customer else None
    context = {"customer": customer, "secret": issued.secret, "key": issued.row, "snippets": snippets}
    return page(request, desk, "portal/key_shown.html", context)


def _back(desk: Desk, key: Key) -> HttpResponse:
    if key.customer_id:
        return go(desk, "customer", customer_id=key.customer_id)
    return go(desk, "keys")
