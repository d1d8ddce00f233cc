"""Where the books' URLs lead. Included under ``/api/``; no trailing slashes."""

from __future__ import annotations

from django.urls import path

from billing.api import views

urlpatterns = [
    path("v1/requests", views.RequestsView.as_view()),
    path("v1/requests/<str:request_id>", views.RequestView.as_view()),
    path("v1/usage", views.UsageView.as_view()),
]
