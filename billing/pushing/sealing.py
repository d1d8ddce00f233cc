"""Sealing: per customer and line, in one transaction, usage of hours that are over becomes pushes that never change.

The cursor's row lock makes one sealer at a time; what is taken is gone from ``unsealed`` in the same transaction; the
recorder, adding to a moment being taken, waits for the commit and begins a new row. So nothing is sealed twice and
nothing is passed over, however late it was booked (docs/adr/0011).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import DatabaseError, transaction

from billing.models import BillingCursor, ExchangeRate, Push
from billing.pushing.arithmetic import NANO, converted_atto, next_step, rate_on, unit_atto_of
from billing.pushing.currencies import USD
from billing.pushing.stamping import Bucket, bucket_of, closed_before, hour_of, is_late
from billing.pushing.targets import CUSTOMER_UNKNOWN, Target, Waiting, find_target
from billing.pushing.unsealed import Slice, customers_waiting, take_slices
from billing.pushing.writing import (
    NoMinuteFree,
    Portion,
    choose_stamp,
    has_billed_before,
    period_units,
    write_push,
)
from tenants.models import Customer

log = logging.getLogger(__name__)

NO_RATE, BUSY, NO_MINUTE, BROKEN = "no_rate", "busy", "no_minute", "error"


@dataclass(slots=True)
class Sealed:
    """What a run did: pushes made, and customers left waiting, by reason."""

    customers: int = 0
    pushes: int = 0
    waiting: Counter[str] = field(default_factory=Counter)


def seal_all(now: datetime) -> Sealed:
    """Seal every customer's usage of buckets that are over; each in a transaction of its own."""
    report = Sealed()
    for tenant_id, mode, customer_id, line in list(customers_waiting(now)):
        customer = (
            Customer.objects.select_related("tenant")
            .filter(pk=customer_id, tenant_id=tenant_id, mode=mode)
            .first()
        )
        if customer is None:
            report.waiting[CUSTOMER_UNKNOWN] += 1
            continue
        try:
            made = seal_customer(customer, line, now=now)
        except DatabaseError:
            # One customer's trouble is its own; the transaction left everything as it was.
            log.exception("seal.failed", extra={"customer_id": customer_id, "line": line})
            report.waiting[BROKEN] += 1
            continue
        report.customers += 1
        if isinstance(made, Waiting):
            report.waiting[made.why] += 1
        else:
            report.pushes += len(made)
    return report


def seal_customer(customer: Customer, line: str, *, now: datetime) -> list[Push] | Waiting:
    """Seal one customer's line up to now; the pushes made, or what it waits for."""
    target = find_target(customer, line)
    if isinstance(target, Waiting):
        return target
    try:
        with transaction.atomic():
            cursor = _take_cursor(target, line)
            return Waiting(BUSY) if cursor is None else _Sealing(target, cursor, now).run()
    except NoMinuteFree:
        return Waiting(NO_MINUTE)


def _take_cursor(target: Target, line: str) -> BillingCursor | None:
    customer = target.customer
    which = {
        "tenant": customer.tenant, "mode": customer.mode, "customer": customer, "line": line,
        "currency": target.currency,
    }  # fmt: skip
    BillingCursor.objects.bulk_create([BillingCursor(**which)], ignore_conflicts=True)
    # Somebody else is sealing this customer: there is nothing to wait for.
    return BillingCursor.objects.select_for_update(skip_locked=True).filter(**which).first()


class _Sealing:
    """One customer's line being sealed: the cursor moves with each portion, and is written once."""

    def __init__(self, target: Target, cursor: BillingCursor, now: datetime) -> None:
        self._target = target
        self._cursor = cursor
        self._now = now
        self._unit_atto = unit_atto_of(target.currency, target.unit_minor)
        self._closed = closed_before(now, target.edges, target.closed_until)
        if target.period and not has_billed_before(target, target.period[0]):
            # A subscription that has only begun bills nothing from before it.
            self._closed = max(target.period[0], self._closed or target.period[0])

    def run(self) -> list[Push] | Waiting:
        """Take what is over and make pushes of it."""
        rates = self._rates()
        if not rates and self._target.currency != USD:
            return Waiting(NO_RATE)
        slices = take_slices(
            self._target.customer,
            self._cursor.line,
            until=bucket_of(self._now, self._target.edges).start,
            since=min(rates, default=None),
            edges=self._target.edges,
        )
        late = [each for each in slices if self._is_late(each)]
        portions = [self._portion([each], rates) for each in slices if not self._is_late(each)]
        if late:
            portions.insert(0, self._portion(late, rates, is_late=True))
        if not portions and self._cursor.is_owed:
            portions = [self._portion([], rates)]
        pushes = [push for portion in portions if (push := self._seal(portion)) is not None]
        if portions:
            self._cursor.save(
                update_fields=["sealed_nanousd", "cumulative_atto", "pushed_atto", "is_owed", "updated_at"]
            )
        return pushes

    def _rates(self) -> Mapping[date, int]:
        if self._target.currency == USD:
            return {}
        customer = self._target.customer
        found = ExchangeRate.objects.for_scope(customer.tenant, customer.mode)
        return dict(found.filter(currency=self._target.currency).values_list("day", "rate_nano"))

    def _is_late(self, each: Slice) -> bool:
        return is_late(bucket_of(each.at, self._target.edges).stamp, now=self._now, closed=self._closed)

    def _portion(self, slices: list[Slice], rates: Mapping[date, int], *, is_late: bool = False) -> Portion:
        amounts_atto = [
            converted_atto(each.charge_nanousd, rate_on(rates, each.at.date(), self._target.currency) or NANO)
            for each in slices
        ]
        if not slices:
            bucket = Bucket(hour_of(self._now), bucket_of(self._now, ()).end)
        else:
            first, last = (bucket_of(slices[place].at, self._target.edges) for place in (0, -1))
            bucket = Bucket(first.start, last.end)
        return Portion(
            bucket=bucket,
            charge_nanousd=sum(each.charge_nanousd for each in slices),
            amount_atto=sum(amounts_atto),
            row_count=sum(each.row_count for each in slices),
            recorded_from=min((each.recorded_from for each in slices), default=None),
            recorded_until=max((each.recorded_until for each in slices), default=None),
            is_stamped_now=is_late or not slices,
            late_from=slices[0].at if is_late else None,
        )

    def _seal(self, portion: Portion) -> Push | None:
        cursor, target = self._cursor, self._target
        cursor.sealed_nanousd = int(cursor.sealed_nanousd) + portion.charge_nanousd
        cursor.cumulative_atto = int(cursor.cumulative_atto) + portion.amount_atto
        stamp = choose_stamp(target, portion, now=self._now, closed=self._closed)
        step = next_step(
            carry_atto=cursor.carry_atto,
            unit_atto=self._unit_atto,
            period_units=period_units(target, stamp),
        )
        cursor.is_owed = step.owed_units != 0
        if step.value_units == 0:
            return None
        cursor.pushed_atto = int(cursor.pushed_atto) + step.value_units * self._unit_atto
        return write_push(target, cursor, portion=portion, stamp=stamp, value_units=step.value_units)
