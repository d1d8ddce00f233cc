"""The periods that statements cover: calendar months in the tenant's zone, or a subscription's where there is one."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from billing.models import CustomerMap, PeriodInvoice
from tenants.errors import InvalidInput
from tenants.models import Customer

MONTHS_SHOWN = 12
CURRENT = "current"
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Period:
    """A span [start, end) that a statement covers, by the key that URLs name it with."""

    key: str
    start: datetime
    end: datetime
    is_subscription: bool = False

    def is_running(self, now: datetime) -> bool:
        """Whether more may still come: a statement of it is a preview."""
        return now < self.end


def find_period(customer: Customer, key: str, now: datetime) -> Period:
    """Find a period by its key: ``2026-11``, a subscription period's first instant, or ``current``.

    Raises: InvalidInput for a key that names none.
    """
    if key in ("", CURRENT):
        return periods_of(customer, now)[0]
    if match := _MONTH.fullmatch(key):
        return month_period(int(match[1]), int(match[2]), customer.tenant.zone)
    for period in _subscription_periods(customer):
        if period.key == key:
            return period
    raise InvalidInput(
        "period", f"{key!r} is no month such as 2026-11 and no period of the customer's subscription"
    )


def periods_of(customer: Customer, now: datetime) -> list[Period]:
    """A customer's periods, newest first: its subscription's as far as they are known, else the latest months."""
    begun = [period for period in _subscription_periods(customer) if period.start <= now]
    if begun and begun[0].is_running(now):
        return begun
    first = customer.created_at.astimezone(zoneinfo.ZoneInfo(customer.tenant.zone))
    months = [
        period
        for period in islice(_months_back(now, customer.tenant.zone), MONTHS_SHOWN)
        if period.end > first or period.is_running(now)
    ]
    return [*months, *begun]


def month_period(year: int, month: int, zone: str) -> Period:
    """A calendar month as it begins and ends in a zone."""
    return Period(f"{year}-{month:02d}", _first(year, month, zone), _first(*_after(year, month), zone))


def _subscription_periods(customer: Customer) -> list[Period]:
    """Periods that Stripe told of, newest first: the running one, and those that were invoiced."""
    told = set(PeriodInvoice.objects.filter(customer=customer).values_list("period_start", "period_end"))
    mapped = CustomerMap.objects.filter(customer=customer, state=CustomerMap.State.MAPPED).first()
    if mapped is not None and mapped.period_start and mapped.period_end:
        told.add((mapped.period_start, mapped.period_end))
    return [
        Period(_key(start), start, end, is_subscription=True) for start, end in sorted(told, reverse=True)
    ]


def _key(start: datetime) -> str:
    return start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _months_back(now: datetime, zone: str) -> Iterator[Period]:
    local = now.astimezone(zoneinfo.ZoneInfo(zone))
    year, month = local.year, local.month
    while True:
        yield month_period(year, month, zone)
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)


def _after(year: int, month: int) -> tuple[int, int]:
    return (year, month + 1) if month < 12 else (year + 1, 1)


def _first(year: int, month: int, zone: str) -> datetime:
    return datetime(year, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(UTC)
