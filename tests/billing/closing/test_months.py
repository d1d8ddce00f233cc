"""Months: what does not add up is named, and what was closed stays closed."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connections, transaction

from billing.closing.months import close_month, draft_close, end_of
from billing.models import BillingCursor, MonthClose
from billing.pushing.sealing import seal_all
from tenants.errors import AlreadyExists, WrongState
from tests.billing.pushing.conftest import CENT, HOUR, TEN, Till, billed, till
from tests.factories import ACTOR, make_customer

__all__ = ["billed", "till"]
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

MONTH = date(2026, 11, 1)


def close(till: Till, month: date = MONTH, **how: bool) -> MonthClose:
    return close_month(till.tenant, "test", month, actor=ACTOR, now=end_of(month) + HOUR, **how)


def kinds(row: MonthClose) -> list[tuple[str, bool]]:
    return [(each["kind"], each["is_wrong"]) for each in row.differences]


def test_a_month_says_where_its_money_is(billed: Till) -> None:
    unknown = make_customer(billed.tenant, "nobody")
    billed.book(3 * CENT + 7)
    billed.book(5 * CENT, customer=unknown)
    billed.record()
    seal_all(TEN + HOUR)

    row = close(billed)

    month, *customers = row.figures
    sums, others = sorted(customers, key=lambda each: str(each["customer"]))
    assert month == {"month_nanousd": str(8 * CENT + 7)}
    assert (sums["underway_units"], sums["carry_atto"], others["held_units"]) == (3, str(7 * 10**9), 5)
    # Nothing is wrong; what is on its way and what nobody is billed for yet is named.
    assert sorted(kinds(row)) == [("held", False), ("underway", False)]


def test_a_month_is_closed_once_in_turn_and_when_it_is_over(billed: Till) -> None:
    with pytest.raises(WrongState, match="not over"):
        close_month(billed.tenant, "test", MONTH, actor=ACTOR, now=TEN)
    close(billed)
    with pytest.raises(AlreadyExists):
        close(billed)
    with pytest.raises(WrongState, match="2026-12"):
        close(billed, date(2027, 1, 1))


def test_what_does_not_add_up_is_named_and_must_be_accepted(billed: Till) -> None:
    billed.book(3 * CENT)
    billed.record()
    seal_all(TEN + HOUR)
    BillingCursor.objects.update(sealed_nanousd=2 * CENT, pushed_atto=10**16)

    with pytest.raises(WrongState, match="2 differences"):
        close(billed)
    row = close(billed, accept_differences=True)

    wrong = [each["what"] for each in row.differences if each["is_wrong"]]
    assert wrong[0] == "the books charge 30000000 nano-dollars; 20000000 are sealed or wait to be"
    assert wrong[1].startswith("its pushes come to 30000000000000000 atto of usd")


def test_a_closed_month_never_changes_and_late_usage_is_the_next_ones(billed: Till) -> None:
    billed.book(3 * CENT)
    billed.record()
    row = close(billed)
    with pytest.raises(ProgrammingError), transaction.atomic():
        MonthClose.objects.filter(pk=row.pk).update(ledger_nanousd=0)
    for statement in ("UPDATE month_close SET ledger_nanousd = 0", "DELETE FROM month_close"):
        with pytest.raises(ProgrammingError, match="never changed"), transaction.atomic(using="owner"):
            connections["owner"].cursor().execute(statement)

    # Booked only now, although it was used in the closed month.
    billed.book(2 * CENT)
    billed.record()

    assert draft_close(billed.tenant, "test", date(2026, 12, 1)).month_nanousd == 2 * CENT
    assert MonthClose.objects.get().ledger_nanousd == 3 * CENT


def test_the_command_shows_and_closes(billed: Till, capsys: pytest.CaptureFixture[str]) -> None:
    billed.book(3 * CENT)
    billed.record()
    seal_all(TEN + HOUR)
    call_command("close_month", billed.tenant.slug, "2026-11", mode="test", dry_run=True)
    assert "$0.03 charged" in capsys.readouterr().out
    BillingCursor.objects.update(sealed_nanousd=0)
    with pytest.raises(SystemExit):
        call_command("close_month", billed.tenant.slug, "2026-11", mode="test", dry_run=True)
    with pytest.raises(CommandError):
        call_command("close_month", billed.tenant.slug, "2026-11", mode="test")
    with pytest.raises(CommandError):
        call_command("close_month", "nobody", "2026-11")
    assert not MonthClose.objects.exists()
