"""The addresses of pages that show ledger rows; the portal's others are in ``tenants.portal.urls``."""

from __future__ import annotations

from billing.portal.views import customer, overview, requests, unresolved
from tenants.portal.urls import at
from tenants.portal.urls import urlpatterns as tenants_urlpatterns

app_name = "portal"
urlpatterns = [
    at("", overview.overview, "overview"),
    *tenants_urlpatterns,
    at("customers/<str:customer_id>/", customer.customer, "customer"),
    at("customers/<str:customer_id>/live/", customer.customer_live, "customer_live"),
    at("requests/", requests.requests, "requests"),
    at("requests/<str:request_id>/", requests.one_request, "request"),
    at("unresolved/", unresolved.unresolved, "unresolved"),
]
