"""Periodic work about Stripe. ``BEAT`` is the schedule; ``billing.tasks`` takes it up."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

from billing.stripe.mail import tell_broken
from billing.stripe.mapping import refresh_stalest

__all__ = ["BEAT", "refresh", "tell_broken"]

log = logging.getLogger(__name__)

BEAT: dict[str, dict[str, Any]] = {
    "billing.stripe.refresh": {
        "task": "billing.stripe.refresh",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
}


@shared_task(name="billing.stripe.refresh")
def refresh() -> None:
    """Read the stalest mappings again, a few at a time."""
    read = refresh_stalest()
    if read:
        log.info("stripe.mappings_read", extra={"mappings": read})
