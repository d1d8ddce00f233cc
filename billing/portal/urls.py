"""The addresses of pages that show ledger rows; the portal's others are in ``tenants.portal.urls``."""

from __future__ import annotations

from billing.portal.views import (
    customer,
    customer_data,
    dunning,
    margin,
    overview,
    prepaid,
    pushes,
    reconciliation,
    requests,
    statements,
    stripe_connection,
    stripe_customers,
    stripe_invoice,
    unresolved,
)
from tenants.portal.urls import at
from tenants.portal.urls import urlpatterns as tenants_urlpatterns

app_name = "portal"
urlpatterns = [
    at("", overview.overview, "overview"),
    *tenants_urlpatterns,
    at("customers/<str:customer_id>/", customer.customer, "customer"),
    at("customers/<str:customer_id>/data/", customer_data.customer_data, "customer_data"),
    at("customers/<str:customer_id>/data/file/", customer_data.customer_file, "customer_file"),
    at("customers/<str:customer_id>/live/", customer.customer_live, "customer_live"),
    at("requests/", requests.requests, "requests"),
    at("requests/<str:request_id>/", requests.one_request, "request"),
    at("unresolved/", unresolved.unresolved, "unresolved"),
    at("billing/", stripe_connection.stripe_connection, "stripe_connection"),
    at("billing/check/", stripe_connection.stripe_check, "stripe_check"),
    at("billing/webhook/", stripe_connection.stripe_hooks, "stripe_hooks"),
    at("billing/disconnect/", stripe_connection.stripe_disconnect, "stripe_disconnect"),
    at("billing/meters/new/", stripe_connection.stripe_meter_new, "stripe_meter_new"),
    at(
        "billing/meters/<str:meter_id>/archive/",
        stripe_connection.stripe_meter_archive,
        "stripe_meter_archive",
    ),
    at("billing/dunning/", dunning.dunning, "dunning"),
    at("customers/<str:customer_id>/prepaid/", prepaid.prepaid, "prepaid"),
    at("customers/<str:customer_id>/prepaid/act/", prepaid.prepaid_act, "prepaid_act"),
    at("margin/", margin.margin, "margin"),
    at("margin/guard/", margin.margin_guard, "margin_guard"),
    at("billing/statements/", statements.statements, "statements"),
    at("billing/statements/<str:customer_id>/", statements.statement, "statement"),
    at("billing/statements/<str:customer_id>/file/", statements.statement_file, "statement_file"),
    at("billing/pushes/", pushes.pushes, "pushes"),
    at("billing/pushes/file/", pushes.pushes_file, "pushes_file"),
    at("billing/pushes/<str:push_id>/", pushes.push, "push"),
    at("billing/pushes/<str:push_id>/retry/", pushes.push_retry, "push_retry"),
    at("billing/reconciliation/", reconciliation.reconciliation, "reconciliation"),
    at("billing/reconciliation/file/", reconciliation.reconciliation_file, "reconciliation_file"),
    at(
        "billing/reconciliation/<int:recon_id>/fix/",
        reconciliation.reconciliation_fix,
        "reconciliation_fix",
    ),
    at("billing/months/", reconciliation.months, "months"),
    at("billing/months/close/", reconciliation.month_close, "month_close"),
    at("billing/customers/", stripe_customers.stripe_customers, "stripe_customers"),
    at("billing/customers/file/", stripe_customers.stripe_customers_file, "stripe_customers_file"),
    at("billing/customers/match/", stripe_customers.stripe_customers_match, "stripe_customers_match"),
    at("billing/customers/<str:customer_id>/", stripe_customers.stripe_customer, "stripe_customer"),
    at("billing/customers/<str:customer_id>/invoice/", stripe_invoice.stripe_invoice, "stripe_invoice"),
    at(
        "billing/customers/<str:customer_id>/act/",
        stripe_customers.stripe_customer_act,
        "stripe_customer_act",
    ),
]
