"""Where the control API's URLs lead. Included under ``/api/``; no trailing slashes."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView

from tenants.api import (
    audit,
    budgets,
    customers,
    keys,
    model_aliases,
    openapi,
    prices,
    provider_accounts,
    retention,
    tenant,
)

urlpatterns = [
    path(
        "schema",
        SpectacularJSONAPIView.as_view(authentication_classes=[]),
        name="api-schema",
    ),
    path("docs", openapi.docs_page, name="api-docs"),
    path("v1/customers", customers.CustomersView.as_view()),
    path("v1/customers/import", customers.CustomerImportView.as_view()),
    path("v1/customers/by-external-id/<path:external_id>", customers.CustomerByExternalIdView.as_view()),
    path("v1/customers/<str:customer_id>", customers.CustomerView.as_view()),
    path("v1/keys", keys.KeysView.as_view()),
    path("v1/keys/<str:key_id>", keys.KeyView.as_view()),
    path("v1/keys/<str:key_id>/revoke", keys.KeyRevokeView.as_view()),
    path("v1/keys/<str:key_id>/rotate", keys.KeyRotateView.as_view()),
    path("v1/budgets", budgets.BudgetsView.as_view()),
    path("v1/budgets/<str:budget_id>", budgets.BudgetView.as_view()),
    path("v1/provider-accounts", provider_accounts.AccountsView.as_view()),
    path("v1/provider-accounts/<str:account_id>", provider_accounts.AccountView.as_view()),
    path("v1/provider-accounts/<str:account_id>/test", provider_accounts.AccountTestView.as_view()),
    path("v1/prices", prices.PricesView.as_view()),
    path("v1/prices/<str:provider>/<path:model>", prices.PriceView.as_view()),
    path("v1/model-aliases", model_aliases.AliasesView.as_view()),
    path("v1/model-aliases/<str:alias>", model_aliases.AliasView.as_view()),
    path("v1/markup", tenant.MarkupView.as_view()),
    path("v1/tenant", tenant.TenantView.as_view()),
    path("v1/settings", tenant.SettingsView.as_view()),
    path("v1/retention", retention.RetentionView.as_view()),
    path("v1/audit-log", audit.AuditLogView.as_view()),
    path("v1/audit-log/export", audit.AuditExportView.as_view()),
]
