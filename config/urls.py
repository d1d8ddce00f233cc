"""Where every URL leads."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("api/", include("tenants.api.urls")),
    path("api/", include("billing.api.urls")),
    path("accounts/", include("allauth.urls")),
    path("", include("billing.portal.urls")),
]
