"""Periodic work about Stripe. ``BEAT`` is the schedule; ``billing.tasks`` takes it up."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from billing.stripe.invoices import poll_invoices
from billing.stripe.mail import tell_broken
from billing.stripe.mapping import refresh_stalest
from billing.stripe.reconciling import reconcile_all

__all__ = ["BEAT", "invoices", "reconcile", "refresh", "tell_broken"]

log = logging.getLogger(__name__)

BEAT: dict[str, dict[str, Any]] = {
    "billing.stripe.refresh": {
        "task": "billing.stripe.refresh",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    # Yesterday's sums are complete by then.
    "billing.stripe.reconcile": {
        "task": "billing.stripe.reconcile",
        "schedule": crontab(minute=40, hour=2),
        "options": {"expires": 3600},
    },
    "billing.stripe.invoices": {
        "task": "billing.stripe.invoices",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
}


@shared_task(name="billing.stripe.refresh")
def refresh() -> None:
    """Read the stalest mappings again, a few at a time."""
    read = refresh_stalest()
    if read:
        log.info("stripe.mappings_read", extra={"mappings": read})


@shared_task(name="billing.stripe.reconcile", soft_time_limit=7000, time_limit=7200)
def reconcile() -> None:
    """Compare books, pushes and Stripe's sums: at night, spread over as long as its reads need."""
    report = reconcile_all(timezone.now())
    log.info(
        "recon.done",
        extra={
            "customers": report.customers, "hours": dict(report.hours), "confirmed": report.confirmed,
            "reads": report.reads, "left": report.left,
        },
    )  # fmt: skip


@shared_task(name="billing.stripe.invoices", soft_time_limit=500, time_limit=560)
def invoices() -> None:
    """Look after drafts near a period's edge, also where no event tells of them."""
    looked = poll_invoices(timezone.now())
    if looked:
        log.info("invoice.polled", extra={"invoices": looked})
