"""The inbox: an event goes in once, is handled by one worker at a time, and stays until it was handled.

Handling asks Stripe, so it holds no transaction: a worker takes an event with a lease, and one that dies leaves it to
the next. Everything that follows from an event may be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from celery import current_app
from django.db import connection as database
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from billing.errors import StripeFailed
from billing.models import StripeConnection, StripeEvent
from billing.stripe.connecting import note_outcome
from billing.stripe.outcomes import Verdict

log = logging.getLogger(__name__)

HANDLE_TASK = "billing.stripe.handle_event"
LEASE = timedelta(minutes=2)
PAUSE_MAX = timedelta(hours=1)
# With pauses up to an hour: two days.
ATTEMPTS_MAX = 60
AT_ONCE_MAX = 200
KEPT = timedelta(days=90)
Result = Literal["done", "ignored", "later", "failed", "not_due"]


class Busy(Exception):
    """Somebody else is looking at the same thing at Stripe right now: what they read may be older than the event."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An event as far as it is kept: what happened to which object."""

    event_id: str
    shape: StripeEvent.Shape
    kind: str
    object_id: str


Handle = Callable[[StripeEvent], bool]


def take_in(connection: StripeConnection, notice: Notice, *, via: str) -> bool:
    """Put an event into the inbox and queue it; returns whether it was new."""
    with transaction.atomic():
        row, is_new = StripeEvent.objects.get_or_create(
            connection=connection, event_id=notice.event_id,
            defaults={
                "tenant_id": connection.tenant_id, "mode": connection.mode, "shape": notice.shape,
                "kind": notice.kind, "object_id": notice.object_id, "via": via,
            },
        )  # fmt: skip
        if is_new:
            # Where the broker is away the next round of beat takes it up: the answer does not wait for that.
            transaction.on_commit(
                lambda: current_app.send_task(HANDLE_TASK, args=(row.pk,), retry=False), robust=True
            )
    return is_new


def due_events() -> QuerySet[StripeEvent]:
    """What may be handled now by the database's clock, oldest first; what a refused key keeps back waits."""
    usable = StripeConnection.objects.filter(status__in=["new", "ok"]).exclude(secret="")
    rows = StripeEvent.objects.filter(handled_at=None, due_at__lte=Now(), connection__in=usable)
    return rows.order_by("due_at", "id")


def handle_one(event_pk: int, *, handle: Handle) -> Result:
    """Handle one event if it is due and nobody else is at it. ``handle`` says whether anything follows from it."""
    if not due_events().filter(pk=event_pk).update(attempts=F("attempts") + 1, due_at=Now() + LEASE):
        return "not_due"
    event = StripeEvent.objects.select_related("connection__tenant").get(pk=event_pk)
    if event.attempts > ATTEMPTS_MAX:
        return _give_up(event, event.why or "no worker came to an end with it")
    try:
        outcome = StripeEvent.Outcome.DONE if handle(event) else StripeEvent.Outcome.IGNORED
    except Busy:
        _put_off(event, timedelta(seconds=3), "busy")
        return "later"
    except StripeFailed as error:
        return _after_failure(event, error)
    _close(event, outcome)
    return "done" if outcome == StripeEvent.Outcome.DONE else "ignored"


def forget_old() -> int:
    """Drop what was handled long ago: Stripe itself keeps events for thirty days."""
    return StripeEvent.objects.filter(handled_at__lt=Now() - KEPT).delete()[0]


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Read something at Stripe and write it here as the only one who does. Raises: Busy.

    Without it an older answer could be written over a newer one.
    """
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        is_ours = bool(cursor.fetchone()[0])
    if not is_ours:
        raise Busy(name)
    try:
        yield
    finally:
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def _after_failure(event: StripeEvent, error: StripeFailed) -> Result:
    outcome = error.outcome
    if outcome is not None:
        note_outcome(event.connection, outcome)
    if outcome is not None and outcome.verdict == Verdict.MISSING:
        # What it was about is gone, or was never this account's.
        _close(event, StripeEvent.Outcome.IGNORED, str(error))
        return "ignored"
    if event.attempts == ATTEMPTS_MAX:
        return _give_up(event, str(error))
    _put_off(event, min(PAUSE_MAX, timedelta(seconds=5 * 2 ** min(event.attempts, 10))), str(error))
    return "later"


def _give_up(event: StripeEvent, why: str) -> Result:
    _close(event, StripeEvent.Outcome.FAILED, why)
    log.error("stripe.event_failed", extra={"event": event.event_id, "kind": event.kind})
    return "failed"


def _put_off(event: StripeEvent, pause: timedelta, why: str) -> None:
    StripeEvent.objects.filter(pk=event.pk, handled_at=None).update(due_at=Now() + pause, why=why[:200])


def _close(event: StripeEvent, outcome: StripeEvent.Outcome, why: str = "") -> None:
    StripeEvent.objects.filter(pk=event.pk, handled_at=None).update(
        handled_at=Now(), outcome=outcome, why=why[:200]
    )
