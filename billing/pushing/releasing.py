"""Pushes that wait, were refused or grew too old: let go, replaced by one of the same value, or put off.

A push is replaced only by one that is written in the same transaction that voids it, and only when the sink cannot
have it: never sent, refused for certain, or its minute was seen to be empty.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Literal

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from billing.models import CustomerMap, Push, StripeMeter
from billing.pushing.stamping import Bucket, closed_before, is_late
from billing.pushing.states import Effect, change_after_report
from billing.pushing.targets import Target, closed_until_of, find_target, held_because
from billing.pushing.writing import NoMinuteFree, Portion, choose_stamp, write_replacement
from tenants.actions.recording import Actor, Trail
from tenants.models import Customer

log = logging.getLogger(__name__)

METER_BROKEN, OTHER_CURRENCY = "meter_broken", "other_currency"
RELEASED_AT_ONCE_MAX = 500
Retried = Literal["retried", "released", "still_held", "not_allowed"]


def release_ready(now: datetime) -> int:
    """Let go every held push whose reason is gone; returns how many. Repeating it changes nothing."""
    ready = Push.objects.filter(
        state=Push.State.HELD, customer__stripe_map__state=CustomerMap.State.MAPPED,
        customer__stripe_map__currency=F("currency"),
    ).exclude(meter__status=StripeMeter.Status.BROKEN).order_by("stamp_at", "id")  # fmt: skip
    released = 0
    for push in ready[:RELEASED_AT_ONCE_MAX]:
        try:
            released += release(push, now=now) is not None
        except (NoMinuteFree, IntegrityError) as error:
            # Somebody took the minute meanwhile: there is another one at the next run.
            log.info("push.release_later", extra={"push": push.identifier, "why": str(error)})
    return released


def release(push: Push, *, now: datetime) -> Push | None:
    """Let one held push go, stamped now if its own time is closed; None when it still has to wait."""
    with transaction.atomic():
        row = _locked(push)
        target = own_target(row)
        if row.state != Push.State.HELD or target is None:
            return None
        why = _held_now(row, target)
        if why:
            if why != row.why:
                row.why = why
                row.save(update_fields=["why"])
            return None
        if row.is_doubtful:
            # It may have arrived: the same push or none.
            row.state, row.why, row.due_at = Push.State.RETRY, "", now
            row.save(update_fields=["state", "why", "due_at"])
            return row
        if target.target_id != row.target_id or is_late(row.stamp_at, now=now, closed=_closed(target, now)):
            return _replace(row, target, now=now)
        row.state, row.why = Push.State.PENDING, ""
        if row.first_attempt_at is None:
            row.stripe_customer_id = target.stripe_customer_id
        elif row.stripe_customer_id != target.stripe_customer_id:
            return _replace(row, target, now=now)
        row.due_at = now
        row.save(update_fields=["state", "why", "stripe_customer_id", "due_at"])
        return row


def replace_with_now(push: Push, *, now: datetime) -> Push | None:
    """Void a push that the sink cannot have and write its value anew, stamped where it is billed. In a transaction."""
    target = own_target(push)
    return None if target is None else _replace(push, target, now=now)


def reject(identifier: str, code: str) -> Push | None:
    """Take in a report that an event was not counted after all; unknown identifiers and those proven change nothing."""
    with transaction.atomic():
        found = Push.objects.select_for_update(of=("self",)).filter(identifier=identifier)
        row = found.exclude(state__in=[Push.State.VOID, Push.State.CONFIRMED, Push.State.REJECTED]).first()
        if row is None or row.first_attempt_at is None:
            return None
        change = change_after_report(code)
        row.state, row.why, row.absent_since = change.state, change.why, None
        row.save(update_fields=["state", "why", "absent_since"])
        apply_effect(row, change.effect, code)
    return row


def apply_effect(push: Push, effect: Effect, why: str) -> None:
    """Mark what an answer says about the customer or the meter."""
    if effect == Effect.LOSE_CUSTOMER:
        CustomerMap.objects.filter(
            customer_id=push.customer_id, stripe_customer_id=push.stripe_customer_id
        ).update(state=CustomerMap.State.DELETED)
    if effect == Effect.BREAK_METER:
        StripeMeter.objects.filter(pk=push.meter_id, status=StripeMeter.Status.ACTIVE).update(
            status=StripeMeter.Status.BROKEN, why=why[:300]
        )


@transaction.atomic
def retry_by_hand(push: Push, *, actor: Actor, now: datetime) -> Retried:
    """Try a push again because somebody asks for it: never one that may have arrived outside the sink's memory."""
    outcome = _retry(push, now)
    if outcome in ("retried", "released"):
        trail = Trail(push.tenant, push.mode, actor)
        trail.audit("push.retry", push, before={"state": push.state}, after={"outcome": outcome})
    return outcome


def _retry(push: Push, now: datetime) -> Retried:
    if push.state == Push.State.HELD:
        return "released" if release(push, now=now) is not None else "still_held"
    again = [Push.State.PENDING, Push.State.RETRY, Push.State.FAILED]
    rows = Push.objects.filter(pk=push.pk, state__in=again)
    rows = rows.exclude(state=Push.State.FAILED, is_doubtful=True)
    return "retried" if rows.update(state=Push.State.RETRY, due_at=Now()) else "not_allowed"


def is_retryable(push: Push) -> bool:
    """Tell whether somebody may ask for it to be tried again."""
    states = {Push.State.HELD, Push.State.PENDING, Push.State.RETRY}
    return push.state in states or (push.state == Push.State.FAILED and not push.is_doubtful)


def own_target(push: Push) -> Target | None:
    """Where the push itself is bound for, with what its customer's mapping says now; its meter stays its own."""
    customer = Customer.objects.select_related("tenant").get(pk=push.customer_id)
    mapped = CustomerMap.objects.filter(customer=customer).first()
    if push.sink == Push.Sink.WEBHOOK:
        found = find_target(customer, push.line)
        return found if isinstance(found, Target) and found.target_id == push.target_id else None
    period = (
        (mapped.period_start, mapped.period_end)
        if mapped and mapped.period_start and mapped.period_end
        else None
    )
    return Target(
        customer,
        push.currency,
        push.unit_minor,
        meter=_successor(push.meter),
        stripe_customer_id=mapped.stripe_customer_id if mapped else "",
        held_why=held_because(mapped),
        period=period,
        closed_until=closed_until_of(customer),
    )


def _successor(meter: StripeMeter | None) -> StripeMeter | None:
    """The meter itself, or the one that took the place of an archived one: same line, currency and unit."""
    if meter is None or meter.status != StripeMeter.Status.ARCHIVED:
        return meter
    same = {name: getattr(meter, name) for name in ("connection_id", "line", "currency", "unit_minor")}
    return StripeMeter.objects.filter(**same, status=StripeMeter.Status.ACTIVE).first() or meter


def _held_now(push: Push, target: Target) -> str:
    if target.held_why:
        return target.held_why
    if target.meter is None:
        return ""
    mapped = CustomerMap.objects.get(customer_id=push.customer_id)
    if mapped.currency != push.currency:
        return OTHER_CURRENCY
    return "" if target.meter.status == StripeMeter.Status.ACTIVE else METER_BROKEN


def _closed(target: Target, now: datetime) -> datetime | None:
    closed = closed_before(now, target.edges, target.closed_until)
    if target.period is None:
        return closed
    # What was held while no period knew it is billed by the one that runs.
    return max(target.period[0], closed or target.period[0])


def _replace(push: Push, target: Target, *, now: datetime) -> Push:
    portion = Portion(
        bucket=Bucket(push.bucket_start, push.bucket_end), charge_nanousd=0, amount_atto=0, row_count=0,
        recorded_from=None, recorded_until=None, is_stamped_now=True,
    )  # fmt: skip
    stamp = choose_stamp(target, portion, now=now, closed=_closed(target, now))
    made = write_replacement(target, push, stamp=stamp, late_from=push.late_from or push.bucket_start)
    push.state = Push.State.VOID
    push.save(update_fields=["state"])
    return made


def _locked(push: Push) -> Push:
    rows = Push.objects.select_for_update(of=("self",)).select_related("meter", "connection", "destination")
    return rows.get(pk=push.pk)
