"""Dispatch: one push to its sink, one at a time per customer and meter, every attempt written before it is made.

What is due and whether it may still be sent is decided by the database's clock. A worker that dies leaves the attempt
open and the push in flight; its lease over, the next attempt knows that the push may have arrived.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from billing.models import Push, PushAttempt, PushDestination, StripeMeter
from billing.pushing.pacing import RATE_PER_S, slow_down, wait_for_turn_ms
from billing.pushing.releasing import apply_effect, own_target, replace_with_now
from billing.pushing.sinks import UsageSink, open_sink
from billing.pushing.stamping import STAMP_AGE_MAX
from billing.pushing.states import Change, Effect, change_after, lease_s, window_of
from billing.pushing.targets import closed_until_of
from billing.stripe.connecting import note_outcome
from billing.stripe.outcomes import Outcome

log = logging.getLogger(__name__)

Result = Literal[
    "sent", "busy", "not_due", "paced", "waiting", "held", "restamped", "ambiguous", "gone"
]  # fmt: skip
TICK_S = 60
OpenSink = Callable[[Push], UsageSink]


@dataclass(frozen=True, slots=True)
class Due:
    """A push to be sent now, and after how many seconds, so that all of a connection's are spread over the minute."""

    push_id: str
    countdown_s: float


def due_pushes() -> list[Due]:
    """Choose what to send within the next minute: oldest first, of each connection no more than it may get."""
    chosen: list[Due] = []
    counts: defaultdict[str, int] = defaultdict(int)
    rows = sendable().values_list("id", "mode", "connection_id", "destination_id")
    for push_id, mode, connection_id, destination_id in rows.iterator(chunk_size=2000):
        account_id = connection_id or destination_id
        place, per_second = counts[account_id], RATE_PER_S[mode]
        if place >= per_second * TICK_S:
            continue
        counts[account_id] += 1
        chosen.append(Due(push_id, round((place + random.random()) / per_second, 2)))  # noqa: S311
    return chosen


def sendable() -> QuerySet[Push]:
    """What is due and whose sink may be used: a refused credential stops its pushes, and they stay as they are."""
    usable = Q(connection__status__in=["new", "ok"]) & ~Q(connection__secret="")
    return Push.objects.due().filter(usable | Q(destination__status=PushDestination.Status.ACTIVE))


def push_one(push_id: str, *, opening: OpenSink = open_sink) -> Result:
    """Send one push if it is due and nobody else is sending to its customer and meter."""
    push = Push.objects.filter(pk=push_id).first()
    if push is None:
        return "gone"
    with _single_flight(push) as is_ours:
        if not is_ours:
            return "busy"
        begun = _begin(push_id)
        if not isinstance(begun, Push):
            return begun
        outcome = opening(begun).send(begun)
        _finish(begun, outcome)
    return "sent"


@contextmanager
def _single_flight(push: Push) -> Iterator[bool]:
    # A session's lock: it spans the call, and PostgreSQL drops it with a worker that dies.
    name = f"push:{push.customer_id}:{push.target_id}"
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        is_ours = bool(cursor.fetchone()[0])
    try:
        yield is_ours
    finally:
        if is_ours:
            with database.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def _begin(push_id: str) -> Push | Result:
    """Write the attempt down, or say why there is none. Commits before anything is sent."""
    with transaction.atomic():
        push = _take(push_id)
        if push is None:
            return "not_due"
        now = database_now()
        if push.state == Push.State.INFLIGHT:
            _note_loss(push)
        stopped = _stop(push, now)
        if stopped:
            return stopped
        wait_ms = wait_for_turn_ms(push)
        if wait_ms:
            push.due_at = now + timedelta(milliseconds=wait_ms)
            push.save(update_fields=["due_at", "state", "is_doubtful", "why"])
            return "paced"
        push.attempts += 1
        push.state = Push.State.INFLIGHT
        push.first_attempt_at = push.first_attempt_at or now
        # A repeat goes the way of the first: the other endpoint would not know it again for as long.
        push.namespace = push.namespace or settings.FAREBOX_STRIPE_EVENTS
        push.due_at = now + timedelta(seconds=lease_s(push.attempts))
        push.save(
            update_fields=[
                "state", "attempts", "first_attempt_at", "namespace", "due_at", "is_doubtful",
                "stripe_customer_id", "why",
            ]
        )  # fmt: skip
        PushAttempt.objects.create(push=push, number=push.attempts, key_last4=_key_of(push))
    return push


def _take(push_id: str) -> Push | None:
    rows = sendable().select_for_update(of=("self",))
    rows = rows.select_related("meter", "connection__tenant", "destination", "customer")
    return rows.filter(pk=push_id).first()


def database_now() -> datetime:
    """The instant that decides: every worker sees the same one."""
    with database.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now


def _note_loss(push: Push) -> None:
    push.is_doubtful, push.state, push.why = True, Push.State.RETRY, "worker_lost"
    PushAttempt.objects.filter(push=push, ended_at=None).update(ended_at=Now(), verdict="lost")


def _stop(push: Push, now: datetime) -> Result | None:
    """Whatever stands against sending it now, done and said."""
    first = push.first_attempt_at
    if push.is_doubtful and first and now > first + window_of(push.sink, push.namespace):
        return _leave(push, Push.State.AMBIGUOUS, "window_over")
    if push.stamp_at < now - STAMP_AGE_MAX:
        if push.is_doubtful:
            return _leave(push, Push.State.AMBIGUOUS, "stamp_too_old")
        return "waiting" if replace_with_now(push, now=now) is None else "restamped"
    if push.sink == Push.Sink.WEBHOOK:
        return None
    closed = closed_until_of(push.customer)
    if closed is not None and push.stamp_at < closed:
        # Its invoice is final: sent now, it would be counted and billed to nobody.
        if push.is_doubtful:
            return _leave(push, Push.State.AMBIGUOUS, "period_closed")
        return "waiting" if replace_with_now(push, now=max(now, closed)) is None else "restamped"
    if push.meter is None or push.meter.status != StripeMeter.Status.ACTIVE:
        return _leave(push, Push.State.HELD, "meter_broken")
    return _stop_for_customer(push, now)


def _stop_for_customer(push: Push, now: datetime) -> Result | None:
    target = own_target(push)
    if target is None or target.held_why:
        why = target.held_why if target else "customer_unknown"
        # A repeat goes to whom the first went to: it is the same push or none.
        return None if push.is_doubtful else _leave(push, Push.State.HELD, why)
    if target.stripe_customer_id != push.stripe_customer_id and not push.is_doubtful:
        if push.first_attempt_at is not None:
            return "waiting" if replace_with_now(push, now=now) is None else "restamped"
        push.stripe_customer_id = target.stripe_customer_id
    return None


def _leave(push: Push, state: Push.State, why: str) -> Result:
    push.state, push.why = state, why
    push.save(update_fields=["state", "why", "is_doubtful"])
    return "held" if state == Push.State.HELD else "ambiguous"


def _finish(push: Push, outcome: Outcome) -> None:
    change = change_after(outcome, attempts=push.attempts, was_doubtful=push.is_doubtful)
    with transaction.atomic():
        PushAttempt.objects.filter(push=push, number=push.attempts).update(
            ended_at=Now(), verdict=outcome.verdict, code=outcome.code[:80], reason=outcome.reason[:80],
            detail=outcome.detail[:300], status=outcome.status, sink_request_id=outcome.request_id[:80],
        )  # fmt: skip
        rows = Push.objects.filter(pk=push.pk, state=Push.State.INFLIGHT, attempts=push.attempts)
        delay = timedelta(seconds=change.delay_s)
        rows.update(
            state=change.state, why=change.why, detail=outcome.detail[:300], is_doubtful=change.is_doubtful,
            due_at=Now() + delay, accepted_at=Now() if change.state == Push.State.ACCEPTED else F("accepted_at"),
        )  # fmt: skip
        apply_effect(push, change.effect, outcome.code or outcome.detail)
        if change.effect == Effect.STAMP_NOW:
            _stamp_now(push)
    _tell(push, change, outcome)


def _stamp_now(push: Push) -> None:
    row = Push.objects.select_related("meter", "destination").get(pk=push.pk)
    replace_with_now(row, now=database_now())


def _tell(push: Push, change: Change, outcome: Outcome) -> None:
    """What an answer says about the sink as a whole: outside the push's transaction."""
    if change.effect == Effect.BREAK_SINK and push.connection is not None:
        note_outcome(push.connection, outcome)
    if change.effect == Effect.BREAK_SINK and push.destination is not None:
        PushDestination.objects.filter(pk=push.destination_id).update(
            status=PushDestination.Status.BROKEN, why=(outcome.detail or outcome.code)[:300]
        )
    if change.effect == Effect.SLOW_DOWN:
        slow_down(push)
    if change.state in {Push.State.FAILED, Push.State.AMBIGUOUS} or change.why == "clock_ahead":
        log.error(
            "push.needs_attention",
            extra={"push": push.identifier, "state": change.state, "why": change.why, "code": outcome.code},
        )


def _key_of(push: Push) -> str:
    return push.connection.key_last4 if push.connection is not None else ""
