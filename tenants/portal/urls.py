"""The portal's addresses. Those of pages that show ledger rows are in ``billing.portal.urls``, under the same name."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter

from tenants.models import Mode
from tenants.portal.access import DeskView
from tenants.portal.views import (
    audit,
    budgets,
    customers,
    dev_mail,
    home,
    invitations,
    keys,
    members,
    provider_accounts,
)


class ModeConverter:
    """``test`` or ``live`` in a URL."""

    regex = "|".join(Mode.values)

    def to_python(self, value: str) -> str:
        """Take the mode as it stands."""
        return value

    def to_url(self, value: str) -> str:
        """Write the mode as it stands."""
        return str(value)


register_converter(ModeConverter, "mode")

DESK = "portal/<slug:slug>/<mode:mode>/"


def at(rest: str, view: DeskView, name: str) -> URLPattern:
    """An address under a tenant and a mode."""
    return path(f"{DESK}{rest}", view, name=name)


app_name = "portal"
urlpatterns = [
    path("", home.home, name="home"),
    path("invitation/<str:token>/", invitations.invitation, name="invitation"),
    path("dev/mail/", dev_mail.dev_mail, name="dev_mail"),
    at("customers/", customers.customers, "customers"),
    at("customers/new/", customers.new_customer, "customer_new"),
    at("customers/<str:customer_id>/name/", customers.rename_customer, "customer_rename"),
    at("customers/<str:customer_id>/state/", customers.set_customer_state, "customer_state"),
    at("customers/<str:customer_id>/budgets/new/", budgets.new_budget, "budget_new"),
    at("customers/<str:customer_id>/keys/new/", keys.new_customer_key, "customer_key_new"),
    at("budgets/<str:budget_id>/limit/", budgets.set_limit, "budget_limit"),
    at("budgets/<str:budget_id>/archive/", budgets.archive, "budget_archive"),
    at("keys/", keys.tenant_keys, "keys"),
    at("keys/<str:key_id>/revoke/", keys.revoke, "key_revoke"),
    at("provider-accounts/", provider_accounts.accounts, "accounts"),
    at("provider-accounts/new/", provider_accounts.new_account, "account_new"),
    at("provider-accounts/<str:account_id>/", provider_accounts.account, "account"),
    at("provider-accounts/<str:account_id>/test/", provider_accounts.test_account, "account_test"),
    at("provider-accounts/<str:account_id>/default/", provider_accounts.make_default, "account_default"),
    at("provider-accounts/<str:account_id>/counting/", provider_accounts.set_counting, "account_counting"),
    at("provider-accounts/<str:account_id>/remove/", provider_accounts.remove_account, "account_remove"),
    at("audit-log/", audit.audit, "audit"),
    at("audit-log/file/", audit.audit_file, "audit_file"),
    at("members/", members.members, "members"),
    at("members/<str:member_id>/role/", members.set_role, "member_role"),
    at("members/<str:member_id>/remove/", members.remove, "member_remove"),
    at("invitations/<str:invitation_id>/withdraw/", members.withdraw, "invitation_withdraw"),
]
