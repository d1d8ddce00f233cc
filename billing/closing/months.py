"""Closing a month: what it came to, what does not add up, and the row that keeps both for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db import IntegrityError, connection, transaction

from billing.closing.figures import Standing, standing
from billing.ledger.billable import Who, charged_by_customer
from billing.models import MonthClose
from tenants.actions.recording import Actor, Trail
from tenants.errors import AlreadyExists, WrongState
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Draft:
    """What closing a month now would keep. ``month_nanousd`` is what the month adds to those closed before."""

    month: date
    month_nanousd: int
    ledger_nanousd: int
    standing: Standing


def end_of(month: date) -> datetime:
    """Find the instant after a month, in UTC."""
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)


def draft_close(tenant: Tenant, mode: str, month: date) -> Draft:
    """Work out what closing a month would keep, and change nothing."""
    with _snapshot():
        return _draft(tenant, mode, month.replace(day=1))


def close_month(
    tenant: Tenant, mode: str, month: date, *, actor: Actor, now: datetime, accept_differences: bool = False
) -> MonthClose:
    """Close a month for good.

    Raises: WrongState while it runs, before the one before it, or with differences nobody accepted; AlreadyExists.
    """
    first = month.replace(day=1)
    if now < end_of(first):
        raise WrongState(f"{first:%Y-%m} is not over")
    try:
        with _snapshot():
            _refuse_out_of_turn(tenant, mode, first)
            draft = _draft(tenant, mode, first)
            wrong = [each for each in draft.standing.differences if each.is_wrong]
            if wrong and not accept_differences:
                raise WrongState(f"{len(wrong)} differences, the first: {wrong[0].customer}: {wrong[0].what}")
            row = MonthClose.objects.create(
                tenant=tenant, mode=mode, month=first, closed_at=now, ledger_nanousd=draft.ledger_nanousd,
                figures=[
                    {"month_nanousd": str(draft.month_nanousd)}, *(each.as_json for each in draft.standing.sums)
                ],
                differences=[each.as_json for each in draft.standing.differences],
            )  # fmt: skip
            trail = Trail(tenant, mode, actor)
            after = {"month": f"{first:%Y-%m}", "differences": len(draft.standing.differences)}
            trail.audit("month.close", row, after=after)
            return row
    except IntegrityError as error:
        raise AlreadyExists(f"{first:%Y-%m} is closed already; it stays as it was") from error


def _draft(tenant: Tenant, mode: str, first: date) -> Draft:
    until = end_of(first)
    ledger_nanousd = sum(charged_by_customer(Who(tenant.pk, mode), until).values())
    before = MonthClose.objects.for_scope(tenant, mode).filter(month__lt=first).order_by("-month").first()
    month_nanousd = ledger_nanousd - int(before.ledger_nanousd if before else 0)
    return Draft(first, month_nanousd, ledger_nanousd, standing(tenant, mode, until=until))


def _refuse_out_of_turn(tenant: Tenant, mode: str, first: date) -> None:
    rows = MonthClose.objects.for_scope(tenant, mode)
    if rows.filter(month=first).exists():
        raise AlreadyExists(f"{first:%Y-%m} is closed already; it stays as it was")
    newest = rows.order_by("-month").first()
    if newest is not None and end_of(newest.month).date() != first:
        raise WrongState(f"the next month to close is {end_of(newest.month):%Y-%m}")


@contextmanager
def _snapshot() -> Iterator[None]:
    """One view of everything: the recorder and the sealer go on meanwhile and are not seen."""
    with transaction.atomic():
        if not connection.savepoint_ids:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
