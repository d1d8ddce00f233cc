"""Where every URL leads."""

from __future__ import annotations

from django.urls import include, path

from tenants import manual

handler400 = "tenants.api.faults.bad_request"
handler403 = "tenants.api.faults.permission_denied"
handler404 = "tenants.api.faults.not_found"
handler500 = "tenants.api.faults.server_error"

urlpatterns = [
    path("api/", include("tenants.api.urls")),
    path("api/", include("billing.api.urls")),
    path("docs/", manual.index, name="docs"),
    path("docs/<slug:name>", manual.page, name="docs-page"),
    path("accounts/", include("allauth.urls")),
    path("", include("billing.portal.urls")),
]
