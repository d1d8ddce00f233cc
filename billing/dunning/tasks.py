"""Dunning's periodic work. ``BEAT`` is the schedule."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

from billing.dunning.watching import watch_due

log = logging.getLogger(__name__)

BEAT: dict[str, dict[str, Any]] = {
    "billing.dunning.watch": {
        "task": "billing.dunning.watch",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
}


@shared_task(name="billing.dunning.watch")
def watch() -> None:
    """Look again at customers who did not pay when last looked at."""
    watched = watch_due()
    if watched:
        log.info("dunning.watched", extra={"customers": watched})
