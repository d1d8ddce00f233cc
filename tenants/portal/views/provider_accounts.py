"""Provider accounts: added, tried, given another credential, made the default, taken away."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from tenants.actions.provider_accounts import (
    AccountTerms,
    change_provider_account,
    create_provider_account,
    delete_provider_account,
)
from tenants.errors import TenantsError
from tenants.models import ProviderAccount
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.forms import AccountForm, CredentialForm
from tenants.portal.pages import attempt, go, is_htmx, page, put_in_force, row_or_404, tell
from tenants.portal.trials import try_account
from tenants.upstreams import warnings_for


def accounts_of(desk: Desk) -> QuerySet[ProviderAccount]:
    """The accounts of a desk's tenant and mode whose credential is still kept."""
    return ProviderAccount.objects.for_scope(desk.tenant, desk.mode).exclude(credential="")


@require_safe
@at_desk()
def accounts(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List where calls may go."""
    return page(request, desk, "portal/accounts.html", {"accounts": accounts_of(desk)})


@at_desk(Right.ACCOUNTS)
def new_account(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Add an account and lead to its page, where it can be tried."""
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        terms = AccountTerms(
            provider=form.provider_id,
            name=given["name"].lower(),
            api_key=given["api_key"],
            base_url=given["base_url"] or None,
            counts_exactly=given["counts_exactly"],
        )
        change = attempt(
            form,
            lambda: create_provider_account(
                tenant=desk.tenant, mode=desk.mode, actor=desk.actor, terms=terms
            ),
        )
        if change is not None:
            put_in_force(request, change.entries, f"The account {change.row.name} is added. Try it now.")
            return go(desk, "account", account_id=change.row.pk)
    return page(request, desk, "portal/account_new.html", {"form": form}, status=422 if form.errors else 200)


@at_desk()
def account(request: HttpRequest, desk: Desk, account_id: str) -> HttpResponse:
    """Show an account; a POST gives it another credential."""
    row = row_or_404(accounts_of(desk), pk=account_id)
    form = CredentialForm(request.POST or None, initial={"base_url": row.base_url})
    if request.method == "POST" and form.is_valid():
        desk.require(Right.ACCOUNTS)
        given = form.cleaned_data
        values = {"base_url": given["base_url"], "api_key": given["api_key"]}
        change = attempt(form, lambda: change_provider_account(account=row, actor=desk.actor, values=values))
        if change is not None:
            put_in_force(request, change.entries, "The new credential is in force. Try it now.")
            return go(desk, "account", account_id=row.pk)
    warnings = warnings_for(row.provider, row.dialect, row.base_url)
    context = {"account": row, "form": form, "warnings": warnings}
    return page(request, desk, "portal/account.html", context, status=422 if form.errors else 200)


@require_POST
@at_desk(Right.ACCOUNTS)
def test_account(request: HttpRequest, desk: Desk, account_id: str) -> HttpResponse:
    """Try an account with one harmless request and say what came of it."""
    row = row_or_404(accounts_of(desk), pk=account_id)
    trial = try_account(row)
    if is_htmx(request):
        return page(request, desk, "portal/_trial.html", {"trial": trial})
    (messages.success if trial.is_good else messages.error)(request, f"{trial.heading}. {trial.detail}")
    return go(desk, "account", account_id=row.pk)


@require_POST
@at_desk(Right.ACCOUNTS)
def make_default(request: HttpRequest, desk: Desk, account_id: str) -> HttpResponse:
    """Let plain model names of the account's dialect go to it."""
    row = row_or_404(accounts_of(desk), pk=account_id)
    try:
        change = change_provider_account(account=row, actor=desk.actor, values={"is_default": True})
    except TenantsError as error:
        tell(request, error)
    else:
        put_in_force(request, change.entries, f"{row.name} is the default now.")
    return go(desk, "account", account_id=row.pk)


@require_POST
@at_desk(Right.ACCOUNTS)
def set_counting(request: HttpRequest, desk: Desk, account_id: str) -> HttpResponse:
    """Ask for the provider's own counts from now on, or no longer."""
    row = row_or_404(accounts_of(desk), pk=account_id)
    asks = request.POST.get("counts_exactly") == "yes"
    change = change_provider_account(account=row, actor=desk.actor, values={"counts_exactly": asks})
    said = "Prompts are counted by the provider now." if asks else "Prompts are bounded here alone now."
    put_in_force(request, change.entries, said)
    return go(desk, "account", account_id=row.pk)


@at_desk(Right.ACCOUNTS)
def remove_account(request: HttpRequest, desk: Desk, account_id: str) -> HttpResponse:
    """Disable an account for ever and forget its credential, after asking."""
    row = row_or_404(accounts_of(desk), pk=account_id)
    if request.method == "POST":
        change = delete_provider_account(account=row, actor=desk.actor)
        put_in_force(
            request, change.entries, f"The account {row.name} is removed and its credential forgotten."
        )
        return go(desk, "accounts")
    return page(request, desk, "portal/account_remove.html", {"account": row})
