"""Where the books' URLs lead. Included under ``/api/``; no trailing slashes."""

from __future__ import annotations

from django.urls import path

from billing.api import calibration, ledger, resolving, views

urlpatterns = [
    path("v1/requests", views.RequestsView.as_view()),
    path("v1/requests/<str:request_id>", views.RequestView.as_view()),
    path("v1/ledger", ledger.RowsView.as_view()),
    path("v1/ledger/resolve", resolving.ResolveManyView.as_view()),
    path("v1/ledger/<str:event_id>/resolve", resolving.ResolveView.as_view()),
    path("v1/usage", views.UsageView.as_view()),
    path("v1/calibration", calibration.CalibrationView.as_view()),
    path("v1/stopped-models", calibration.StoppedModelsView.as_view()),
    path("v1/stopped-models/<str:stop_id>/resume", calibration.StoppedModelResumeView.as_view()),
]
