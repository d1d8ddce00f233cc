"""Pushing's periodic work and the sending of one push: tasks translate, the modules they call decide."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from billing.pushing.dispatching import TICK_S, due_pushes, push_one
from billing.pushing.releasing import release_ready
from billing.pushing.sealing import seal_all

log = logging.getLogger(__name__)

BEAT: dict[str, dict[str, Any]] = {
    "billing.seal": {"task": "billing.seal", "schedule": crontab(minute=5), "options": {"expires": 3000}},
    "billing.dispatch": {
        "task": "billing.dispatch",
        "schedule": float(TICK_S),
        "options": {"expires": TICK_S},
    },
}


@shared_task(name="billing.seal", soft_time_limit=1500, time_limit=1560)
def seal() -> None:
    """Seal what is over: five minutes past the hour, when its calls have been booked."""
    report = seal_all(timezone.now())
    log.info(
        "seal.done",
        extra={
            "customers": report.customers,
            "pushes": report.pushes,
            "waiting_customers": dict(report.waiting),
        },
    )


@shared_task(name="billing.dispatch", soft_time_limit=50, time_limit=60)
def dispatch() -> None:
    """Let go what may go, and hand out what is due, spread over the minute until the next round."""
    release_ready(timezone.now())
    for due in due_pushes():
        # What was not begun by then is chosen anew; a push that is delivered twice is sent once.
        push.apply_async((due.push_id,), countdown=due.countdown_s, expires=due.countdown_s + TICK_S)


@shared_task(name="billing.push", acks_late=True, soft_time_limit=40, time_limit=50)
def push(push_id: str) -> None:
    """Send one push."""
    result = push_one(push_id)
    log.debug("push.done", extra={"push_id": push_id, "result": result})
