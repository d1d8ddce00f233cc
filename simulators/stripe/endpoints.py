"""Loads every module that serves an endpoint."""

from __future__ import annotations

from simulators.stripe import (
    catalog,
    checkout,
    credits,
    customers,
    events,
    invoice_endings,
    invoices,
    meter_events,
    meter_streams,
    meters,
    payments,
    subscriptions,
    webhooks,
)

LOADED = (
    catalog, checkout, credits, customers, events, invoice_endings, invoices, meter_events, meter_streams, meters,
    payments, subscriptions, webhooks,
)  # fmt: skip
