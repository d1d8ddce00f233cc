"""Was a push counted? The sum of its own minute says so: a pure decision, one read, and what follows from it.

Who asks when, and about which pushes, is reconciliation's business.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from django.db import transaction

from billing.models import CustomerMap, Push
from billing.pushing.releasing import own_target, replace_with_now
from billing.pushing.stamping import MINUTE
from billing.stripe.objects import Summary

# Sums lag behind; a minute counts as empty once it was seen so for this long.
ABSENT_FOR = timedelta(hours=24)


class Reads(Protocol):
    """What this needs of a gateway."""

    def summaries(
        self, meter_id: str, stripe_customer_id: str, start: datetime, end: datetime
    ) -> list[Summary]:
        """Read what was counted in [start, end)."""
        ...


class Seen(StrEnum):
    """What a minute's sum says about the one push that has it."""

    CONFIRMED = "confirmed"
    # Empty now; it may still come.
    EMPTY = "empty"
    # Empty for long enough: it is not there.
    ABSENT = "absent"
    # Neither: somebody else writes to the meter, or the sum is no number of ours. Never mended by itself.
    OTHER = "other"


def judge_minute(value_units: int, total: Decimal, *, absent_since: datetime | None, now: datetime) -> Seen:
    """Decide by a minute's sum. ``absent_since`` = when it was first seen to be empty, without a break."""
    if total == value_units:
        return Seen.CONFIRMED
    if total != 0:
        return Seen.OTHER
    if absent_since is not None and now - absent_since >= ABSENT_FOR:
        return Seen.ABSENT
    return Seen.EMPTY


def read_minute(gateway: Reads, push: Push) -> Decimal:
    """Read the sum of a push's minute. Raises: StripeFailed."""
    assert push.meter is not None
    start = push.minute_starts_at
    rows = gateway.summaries(push.meter.stripe_meter_id, push.stripe_customer_id, start, start + MINUTE)
    return sum((row.value for row in rows), Decimal(0))


def confirm(push: Push, gateway: Reads, *, now: datetime) -> Seen:
    """Read a push's minute and write down what it says. Raises: StripeFailed."""
    total = read_minute(gateway, push)
    with transaction.atomic():
        row = Push.objects.select_for_update(of=("self",)).select_related("meter").get(pk=push.pk)
        seen = judge_minute(row.value_units, total, absent_since=row.absent_since, now=now)
        note_seen(row, seen, total, now=now)
    return seen


def note_seen(push: Push, seen: Seen, total: Decimal, *, now: datetime) -> None:
    """Move a push by what its minute said. In a transaction, its row locked."""
    if push.state in {Push.State.VOID, Push.State.CONFIRMED, Push.State.HELD, Push.State.INFLIGHT}:
        return
    match seen:
        case Seen.CONFIRMED:
            push.state, push.why, push.confirmed_at = Push.State.CONFIRMED, "", now
            push.accepted_at = push.accepted_at or now
            push.absent_since, push.is_doubtful = None, False
        case Seen.EMPTY:
            push.absent_since = push.absent_since or now
        case Seen.OTHER:
            push.absent_since, push.why = None, "other_total"
            push.detail = f"its minute sums to {total}, the push says {push.value_units}"
        case Seen.ABSENT:
            _take_as_absent(push, now)
            return
    push.save(
        update_fields=["state", "why", "detail", "confirmed_at", "accepted_at", "absent_since", "is_doubtful"]
    )


def _take_as_absent(push: Push, now: datetime) -> None:
    if push.state == Push.State.ACCEPTED:
        push.state, push.why, push.is_doubtful = Push.State.REJECTED, "not_counted", False
        push.save(update_fields=["state", "why", "is_doubtful"])
    if push.state not in {Push.State.AMBIGUOUS, Push.State.REJECTED}:
        return
    target = own_target(push)
    mapped = CustomerMap.objects.filter(customer_id=push.customer_id, state=CustomerMap.State.MAPPED)
    # A rejected value waits until there is somebody to bill: then it is written anew, here as well.
    if target is not None and (push.state == Push.State.AMBIGUOUS or mapped.exists()):
        replace_with_now(push, now=now)
