"""The control plane's periodic work: forgetting what nobody may ask for any more. ``BEAT`` is the schedule."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.schedules import crontab
from django.contrib.sessions.backends.db import SessionStore

from tenants.actions.closing import forget_what_is_due
from tenants.api.idempotency import drop_old_answers

log = logging.getLogger(__name__)

BEAT: dict[str, dict[str, Any]] = {
    "tenants.forget": {
        "task": "tenants.forget",
        "schedule": crontab(minute=20, hour=4),
        "options": {"expires": 3600},
    },
}


@shared_task(name="tenants.forget")
def forget() -> None:
    """Drop answers kept for an Idempotency-Key past their day, sessions past their end, what tenants keep no longer."""
    answers = drop_old_answers()
    SessionStore.clear_expired()
    kept_no_longer = forget_what_is_due()
    if answers or kept_no_longer:
        log.info("tenants.forgot", extra={"answers": answers, "kept_no_longer": kept_no_longer})
