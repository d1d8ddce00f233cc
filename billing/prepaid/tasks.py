"""Credit's periodic work: top-ups that wait for their money are read again. ``BEAT`` is the schedule."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

from billing.errors import StripeFailed
from billing.incoming.inbox import Busy
from billing.models import TopUp
from billing.prepaid.crediting import sync_living, sync_top_up

log = logging.getLogger(__name__)

BEAT: dict[str, dict[str, Any]] = {
    "billing.prepaid.sync_living": {
        "task": "billing.prepaid.sync_living",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
}


@shared_task(name="billing.prepaid.sync_living")
def read_living() -> None:
    """Read the top-ups again that wait for their money."""
    sync_living()


@shared_task(name="billing.prepaid.sync")
def sync(top_up_id: str) -> None:
    """Read one top-up again: its customer came back from paying."""
    try:
        sync_top_up(TopUp.objects.select_related("connection__tenant", "prepaid").get(pk=top_up_id))
    except (StripeFailed, Busy) as error:
        log.info("prepaid.sync_later", extra={"top_up": top_up_id, "why": str(error)})
