"""Statements: what is billed and nothing else, in lines that add up to the nano-dollar."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest

from billing.ledger.billable import Who, charged_by_customer
from billing.models import LedgerRow
from billing.statements.export import csv_parts
from billing.statements.lines import Statement, corrections_of, statement_of
from billing.statements.periods import find_period, month_period, periods_of
from billing.statements.unit_prices import marked_up_text
from tenants.base_books import keep_installed_book
from tenants.errors import InvalidInput
from tests.billing.conftest import body_of
from tests.billing.pushing.conftest import CENT, HOUR, TEN, Till, connect, map_customer, ms
from tests.factories import make_customer

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)


def call(
    till: Till, charge: int = CENT, *, at: datetime = TEN, event: dict[str, Any] | None = None, **body: Any
) -> str:
    given = {"customer_id": till.customer.pk, "started_ms": ms(at), "ended_ms": ms(at) + 900, **body}
    return till.book(charge, at=at, body=body_of(**given), **(event or {}))


def november(till: Till) -> Statement:
    till.record()
    return statement_of(till.customer, find_period(till.customer, "2026-11", NOW), now=NOW)


def test_lines_are_by_model_account_price_and_markup(till: Till) -> None:
    call(till, markup_bp=1_000)
    call(till, 2 * CENT, markup_bp=1_000, usage={"input": 10, "cache_read": 5}, extras={"web_search": 2})
    call(till, 4 * CENT, markup_bp=2_000)
    call(till, 8 * CENT, model="gpt-5")
    call(till, 16 * CENT, account_id="acc_2")

    found = november(till)

    assert [
        (line.model, line.account_id, line.markup_bp, line.calls, line.charge_nanousd) for line in found.usage
    ] == [
        ("gpt-4o-mini", "acc_1", 1_000, 2, 3 * CENT),
        ("gpt-4o-mini", "acc_1", 2_000, 1, 4 * CENT),
        ("gpt-4o-mini", "acc_2", 0, 1, 16 * CENT),
        ("gpt-5", "acc_1", 0, 1, 8 * CENT),
    ]
    assert found.usage[0].tokens == {"input": 100, "cache_read": 5, "output": 12}
    assert found.usage[0].extras == {"web_search": 2}
    assert found.total_nanousd == 31 * CENT


def test_unresolved_money_is_told_apart_and_billed_once_it_is_resolved(till: Till) -> None:
    hold_id = till.streams.hold_id(ms(TEN))
    till.expire(9 * CENT, hold_id=hold_id)
    call(till)
    before = november(till)
    till.correct(-7 * CENT, hold_id=hold_id, at=TEN + HOUR)
    after = november(till)

    assert (before.total_nanousd, before.unresolved, before.unresolved_nanousd) == (CENT, 1, 9 * CENT)
    assert (after.total_nanousd, after.unresolved, after.corrections) == (3 * CENT, 0, 1)
    [line] = corrections_of(till.customer, after.period)
    assert (line.corrects, line.charge_nanousd) == (f"{hold_id}.expired.0", 2 * CENT)


def test_a_correction_is_billed_in_its_own_period_however_late(till: Till) -> None:
    hold_id = till.streams.hold_id(ms(TEN - timedelta(days=100)))
    till.expire(9 * CENT, hold_id=hold_id, at=TEN - timedelta(days=100))
    till.correct(-2 * CENT, hold_id=hold_id, at=TEN)
    settled = till.book(CENT, at=OCTOBER)
    till.correct(-CENT, hold_id=settled.partition(".")[0], corrects=settled, at=TEN, number=1)

    found = november(till)

    assert [each.charge_nanousd for each in corrections_of(till.customer, found.period)] == [7 * CENT, -CENT]
    assert (found.usage, found.total_nanousd) == ([], 6 * CENT)


def test_statements_and_unresolved_money_are_all_that_was_booked(till: Till) -> None:
    for number, at in enumerate((OCTOBER, TEN, TEN + HOUR, datetime(2026, 11, 1, tzinfo=UTC))):
        call(till, CENT + number, at=at, model=f"model-{number % 2}")
        hold_id = till.streams.hold_id(ms(at))
        till.expire(7 * CENT + number, hold_id=hold_id, at=at)
        if number % 2:
            till.correct(-CENT, hold_id=hold_id, at=at + HOUR)
            till.correct(3, hold_id=hold_id, at=at + 2 * HOUR, number=1)
    other = make_customer(till.tenant, external_id="other")
    till.book(CENT, customer=other)
    till.record()

    statements = [
        statement_of(till.customer, month_period(2026, month, "UTC"), now=NOW) for month in (10, 11)
    ]

    booked = sum(
        LedgerRow.objects.filter(customer_id=till.customer.pk).values_list("charge_nanousd", flat=True)
    )
    assert sum(each.total_nanousd + each.unresolved_nanousd for each in statements) == booked
    pushed = charged_by_customer(Who(till.tenant.pk, "test"), NOW)
    assert (
        sum(each.total_nanousd for each in statements)
        == pushed[till.customer.pk]
        == till.waiting_nanousd() - CENT
    )


def test_months_begin_and_end_in_the_tenants_zone(till: Till) -> None:
    till.tenant.zone = till.customer.tenant.zone = "Europe/Berlin"
    call(till, at=OCTOBER)  # half past midnight on the first of November in Berlin

    found = november(till)

    assert (found.period.start, found.period.end) == (
        datetime(2026, 10, 31, 23, tzinfo=UTC),
        datetime(2026, 11, 30, 23, tzinfo=UTC),
    )
    assert found.total_nanousd == CENT


def test_a_mapped_customer_has_its_subscriptions_period(till: Till) -> None:
    assert periods_of(till.customer, NOW)[0].key == "2026-11"
    connect(till.tenant)
    start, end = datetime(2026, 11, 15, 8, tzinfo=UTC), datetime(2026, 12, 15, 8, tzinfo=UTC)
    map_customer(till.customer, period_start=start, period_end=end)

    period = find_period(till.customer, "current", NOW)

    assert (period.key, period.start, period.end) == ("2026-11-15T08:00:00Z", start, end)
    assert find_period(till.customer, period.key, NOW) == period
    call(till, at=start - timedelta(seconds=1))
    call(till, 2 * CENT, at=start)
    till.record()
    assert statement_of(till.customer, period, now=NOW).total_nanousd == 2 * CENT


@pytest.mark.parametrize("key", ["2026-13", "2026-11-15T08:00:00Z", "november", "1999-01"])
def test_a_period_that_is_none_is_refused(till: Till, key: str) -> None:
    with pytest.raises(InvalidInput, match="no month"):
        find_period(till.customer, key, NOW)


def test_a_running_period_is_a_preview(till: Till) -> None:
    assert november(till).is_preview
    october = month_period(2026, 10, "UTC")
    assert not statement_of(till.customer, october, now=NOW).is_preview


def test_unit_prices_are_the_price_with_the_markup_exactly(till: Till) -> None:
    keep_installed_book()
    from metering.base_prices import find_base

    mini = find_base("openai", "gpt-4o-mini", ms(TEN))
    assert mini is not None
    call(till, price_id=mini.price_id, markup_bp=1_250)

    [line] = november(till).usage

    assert {price.bucket: price.usd_per_mtok for price in line.prices} == {
        "input": "0.16875",
        "output": "0.675",
    }


@pytest.mark.parametrize(
    ("rate", "markup_bp", "text"),
    [(1, 1, "0.0000000010001"), (0, 500, "0.00"), (3 * 10**9, -10_000, "0.00"), (10**9, -2_500, "0.75")],
)
def test_a_marked_up_rate_loses_nothing(rate: int, markup_bp: int, text: str) -> None:
    assert marked_up_text(rate, markup_bp) == text


def test_a_file_has_every_line_and_adds_up(till: Till) -> None:
    call(till, model="=cmd()")
    hold_id = till.streams.hold_id(ms(TEN))
    till.expire(9 * CENT, hold_id=hold_id)
    till.correct(-7 * CENT, hold_id=hold_id, at=TEN + HOUR)
    till.expire(5 * CENT, hold_id=till.streams.hold_id(ms(TEN)))

    rows = list(csv.DictReader(StringIO("".join(csv_parts(november(till))))))

    assert [(row["kind"], row["model"], row["charge_usd"], row["unresolved_usd"]) for row in rows] == [
        ("usage", "'=cmd()", "0.01", ""),
        ("correction", "gpt-4o-mini", "0.02", ""),
        ("unresolved", "", "", "0.05"),
        ("preview", "", "0.03", ""),
    ]
    assert not any("cost" in name for name in rows[0])
