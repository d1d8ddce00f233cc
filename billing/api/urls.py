"""Where the books' URLs lead. Included under ``/api/``; no trailing slashes."""

from __future__ import annotations

from django.urls import path

from billing.api import (
    calibration,
    dunning,
    ledger,
    prepaid,
    push_settings,
    pushes,
    resolving,
    stripe_maps,
    stripe_views,
    views,
)

urlpatterns = [
    path("v1/requests", views.RequestsView.as_view()),
    path("v1/requests/<str:request_id>", views.RequestView.as_view()),
    path("v1/ledger", ledger.RowsView.as_view()),
    path("v1/ledger/resolve", resolving.ResolveManyView.as_view()),
    path("v1/ledger/<str:event_id>/resolve", resolving.ResolveView.as_view()),
    path("v1/billing/connection", stripe_views.ConnectionView.as_view()),
    path("v1/billing/connection/rotate", stripe_views.ConnectionRotateView.as_view()),
    path("v1/billing/connection/check", stripe_views.ConnectionCheckView.as_view()),
    path("v1/billing/connection/webhook", stripe_views.ConnectionHooksView.as_view()),
    path("v1/billing/meters", stripe_views.MetersView.as_view()),
    path("v1/billing/meters/<str:meter_id>", stripe_views.MeterView.as_view()),
    path("v1/billing/customer-maps", stripe_maps.MapsView.as_view()),
    path("v1/billing/customer-maps/import", stripe_maps.MapsImportView.as_view()),
    path("v1/billing/customer-maps/export", stripe_maps.MapsExportView.as_view()),
    path("v1/billing/customer-maps/match", stripe_maps.MapsMatchView.as_view()),
    path("v1/billing/customer-maps/<str:customer_id>", stripe_maps.MapView.as_view()),
    path("v1/billing/customer-maps/<str:customer_id>/refresh", stripe_maps.MapRefreshView.as_view()),
    path("v1/billing/customer-maps/<str:customer_id>/subscribe", stripe_maps.MapSubscribeView.as_view()),
    path("v1/billing/exchange-rates", push_settings.RatesView.as_view()),
    path("v1/billing/push-destinations", push_settings.DestinationsView.as_view()),
    path("v1/billing/pushes", pushes.PushesView.as_view()),
    path("v1/billing/pushes/export", pushes.PushesExportView.as_view()),
    path("v1/billing/pushes/summary", pushes.PushesSummaryView.as_view()),
    path("v1/billing/pushes/<str:push_id>", pushes.PushView.as_view()),
    path("v1/billing/pushes/<str:push_id>/retry", pushes.PushRetryView.as_view()),
    path("v1/billing/prepaid/<str:customer_id>", prepaid.PrepaidView.as_view()),
    path("v1/billing/prepaid/<str:customer_id>/entries", prepaid.PrepaidEntriesView.as_view()),
    path("v1/billing/prepaid/<str:customer_id>/link", prepaid.PrepaidLinkView.as_view()),
    path("v1/billing/top-ups", prepaid.TopUpsView.as_view()),
    path("v1/billing/top-ups/<str:top_up_id>", prepaid.TopUpView.as_view()),
    path("v1/billing/dunning", dunning.DunningView.as_view()),
    path("v1/billing/dunning/cases", dunning.DunningCasesView.as_view()),
    path("v1/usage", views.UsageView.as_view()),
    path("v1/calibration", calibration.CalibrationView.as_view()),
    path("v1/stopped-models", calibration.StoppedModelsView.as_view()),
    path("v1/stopped-models/<str:stop_id>/resume", calibration.StoppedModelResumeView.as_view()),
]
