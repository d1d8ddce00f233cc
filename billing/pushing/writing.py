"""Writing a push down: its minute, its number within its bucket, its name, and whether it may go or is held."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, Sum

from billing.models import BillingCursor, PrepaidBudget, Push
from billing.pushing.stamping import (
    AHEAD_MAX,
    HOUR,
    Bucket,
    free_stamp,
    free_stamp_now,
    make_identifier,
    minute_no,
)
from billing.pushing.targets import Target

PREPAID = "prepaid"


class NoMinuteFree(Exception):
    """Every minute that could stamp a push is taken: there is one again a minute later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What becomes one push, or only a carry: a bucket and what is sealed of it."""

    bucket: Bucket
    charge_nanousd: int
    amount_atto: int
    row_count: int
    recorded_from: datetime | None
    recorded_until: datetime | None
    is_stamped_now: bool = False
    late_from: datetime | None = None


def choose_stamp(target: Target, portion: Portion, *, now: datetime, closed: datetime | None) -> datetime:
    """Find a portion's stamp: the end of its bucket, or now for what is late. Raises: NoMinuteFree."""
    bucket = portion.bucket
    if not portion.is_stamped_now:
        stamp = free_stamp(bucket, _taken(target, bucket.start, bucket.end))
        if stamp is not None:
            return stamp
    stamp = free_stamp_now(now, closed, _taken(target, now - HOUR, now + AHEAD_MAX))
    if stamp is None:
        raise NoMinuteFree(f"{target.customer.pk} has a push in every minute around {now}")
    return stamp


def period_units(target: Target, stamp: datetime) -> int:
    """Sum what was pushed, sent or not, into the billing period of a stamp; what is in doubt counts for nothing.

    Without a known period it is the calendar month, in UTC.
    """
    start, end = period_around(target, stamp)
    pushes = Push.objects.filter(customer=target.customer, target_id=target.target_id).counted()
    if start is not None:
        pushes = pushes.filter(stamp_at__gte=start)
    if end is not None:
        pushes = pushes.filter(stamp_at__lt=end)
    return int(pushes.aggregate(units=Sum("value_units"))["units"] or 0)


def period_around(target: Target, stamp: datetime) -> tuple[datetime | None, datetime | None]:
    """Find the billing period of a stamp; None = nobody knows how far it reaches."""
    if target.period is None:
        month = stamp.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return month, month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    start, end = target.period
    if stamp < start:
        return None, start
    return (start, end) if stamp < end else (end, None)


def has_billed_before(target: Target, instant: datetime) -> bool:
    """Tell whether a push of the customer went out that is stamped before an instant: there was a period before."""
    pushes = Push.objects.filter(customer=target.customer, target_id=target.target_id, stamp_at__lt=instant)
    return pushes.exclude(state__in=[Push.State.HELD, Push.State.VOID]).exists()


def write_push(
    target: Target, cursor: BillingCursor, *, portion: Portion, stamp: datetime, value_units: int
) -> Push:
    """Write a new push, held where its customer cannot be billed yet, void where it has paid already."""
    if target.meter is not None and was_paid_first(target, portion.bucket):
        state, why = Push.State.VOID, PREPAID
    else:
        state, why = Push.State.HELD if target.held_why else Push.State.PENDING, target.held_why
    return Push.objects.create(
        **_names(target, cursor.line, portion.bucket, stamp),
        sink=Push.Sink.STRIPE if target.meter else Push.Sink.WEBHOOK,
        connection_id=target.meter.connection_id if target.meter else None,
        meter=target.meter,
        destination=target.destination,
        currency=target.currency,
        unit_minor=target.unit_minor,
        value_units=value_units,
        stripe_customer_id=target.stripe_customer_id,
        charge_nanousd=portion.charge_nanousd,
        row_count=portion.row_count,
        cumulative_atto=cursor.cumulative_atto,
        recorded_from=portion.recorded_from,
        recorded_until=portion.recorded_until,
        late_from=portion.late_from,
        state=state,
        why=why,
    )


def was_paid_first(target: Target, bucket: Bucket) -> bool:
    """Tell whether usage of a bucket was taken from prepaid credit; a bucket of both kinds counts as paid."""
    rows = PrepaidBudget.objects.filter(customer=target.customer, created_at__lt=bucket.end)
    return rows.filter(Q(budget__archived_at=None) | Q(budget__archived_at__gt=bucket.start)).exists()


def write_replacement(target: Target, push: Push, *, stamp: datetime, late_from: datetime | None) -> Push:
    """Write a push of the same value that stands for another; the other is void in the same transaction."""
    bucket = Bucket(push.bucket_start, push.bucket_end)
    same = (
        "sink", "connection_id", "destination_id", "currency", "unit_minor", "value_units", "charge_nanousd",
        "row_count", "cumulative_atto", "recorded_from", "recorded_until",
    )  # fmt: skip
    return Push.objects.create(
        **{name: getattr(push, name) for name in same},
        **_names(target, push.line, bucket, stamp),
        meter=target.meter,
        stripe_customer_id=target.stripe_customer_id,
        late_from=late_from,
        replaces=push,
        state=Push.State.HELD if target.held_why else Push.State.PENDING,
        why=target.held_why,
    )


def _taken(target: Target, start: datetime, end: datetime) -> set[int]:
    within = (minute_no(start), minute_no(end))
    pushes = Push.objects.filter(
        customer=target.customer, target_id=target.target_id, minute_no__range=within
    )
    return set(pushes.values_list("minute_no", flat=True))


def _names(target: Target, line: str, bucket: Bucket, stamp: datetime) -> dict[str, Any]:
    customer, target_id = target.customer, target.target_id
    seq = Push.objects.filter(customer=customer, target_id=target_id, bucket_start=bucket.start).count()
    account_id = target.meter.connection_id if target.meter else target_id
    return {
        "tenant_id": customer.tenant_id,
        "mode": customer.mode,
        "customer": customer,
        "target_id": target_id,
        "line": line,
        "bucket_start": bucket.start,
        "bucket_end": bucket.end,
        "seq": seq,
        "identifier": make_identifier(
            customer.tenant_id, account_id, target_id, customer.pk, bucket_start=bucket.start, seq=seq
        ),
        "stamp_at": stamp,
        "minute_no": minute_no(stamp),
    }
