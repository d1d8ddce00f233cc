"""Taking up what Stripe tells: tasks translate, the modules they call decide. ``BEAT`` is the schedule."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from billing.incoming.handlers import handle
from billing.incoming.inbox import AT_ONCE_MAX, HANDLE_TASK, due_events, forget_old, handle_one
from billing.incoming.polling import poll_all
from billing.incoming.reports import LOOK_EVERY, look_at_spans

log = logging.getLogger(__name__)

BEAT: dict[str, dict[str, Any]] = {
    "billing.stripe.handle_due": {
        "task": "billing.stripe.handle_due",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "billing.stripe.poll": {"task": "billing.stripe.poll", "schedule": 300.0, "options": {"expires": 300}},
    "billing.stripe.look_at_spans": {
        "task": "billing.stripe.look_at_spans",
        "schedule": LOOK_EVERY.total_seconds(),
        "options": {"expires": 600},
    },
    "billing.stripe.forget_events": {
        "task": "billing.stripe.forget_events",
        "schedule": crontab(minute=25, hour=4),
        "options": {"expires": 3600},
    },
}


@shared_task(name=HANDLE_TASK)
def handle_event(event_pk: int) -> None:
    """Handle one event."""
    result = handle_one(event_pk, handle=handle)
    log.debug("stripe.event", extra={"event_pk": event_pk, "result": result})


@shared_task(name="billing.stripe.handle_due")
def handle_due() -> None:
    """Queue what waits: put off, left by a worker that died, or never queued because the broker was away."""
    for event_pk in due_events().values_list("pk", flat=True)[:AT_ONCE_MAX]:
        handle_event.apply_async((event_pk,), expires=60)


@shared_task(name="billing.stripe.poll")
def poll() -> None:
    """Ask Stripe for its events."""
    found = poll_all()
    if found:
        log.info("stripe.events_polled", extra={"events": found})


@shared_task(name="billing.stripe.look_at_spans")
def look_at_reported() -> None:
    """Look at pushes that Stripe says it did not count."""
    looked = look_at_spans(timezone.now())
    if looked:
        log.info("stripe.reported_pushes_read", extra={"pushes": looked})


@shared_task(name="billing.stripe.forget_events")
def forget_events() -> None:
    """Drop events handled long ago."""
    forget_old()
