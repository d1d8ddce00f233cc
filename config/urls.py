"""Where every URL leads."""

from __future__ import annotations

from django.urls import include, path

from billing.incoming.views import stripe_hook
from billing.portal.views.top_up import top_up, top_up_paid
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
    path("hooks/stripe/<str:public_id>/", stripe_hook, name="stripe_hook"),
    path("top-up/<str:token>/", top_up, name="top_up"),
    path("top-up/<str:token>/paid/", top_up_paid, name="top_up_paid"),
    path("", include("billing.portal.urls")),
]
