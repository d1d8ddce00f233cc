"""Reconciliation against the stand-in: what is proven, what is found, what is never mended by itself."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.models import Push, ReconRow
from billing.pushing.releasing import reject
from billing.pushing.stamping import HOUR, hour_of
from billing.stripe.comparing import Minute, judge_hour, judge_surplus
from billing.stripe.fixing import fix_with_delta, surplus_units
from billing.stripe.objects import Summary
from billing.stripe.reconciling import (
    BudgetSpent,
    CountedReads,
    Pair,
    Reconciled,
    reconcile_connection,
    reconcile_pair,
)
from tenants.errors import InvalidInput, WrongState
from tenants.models import AuditEntry
from tests.billing.pushing.conftest import shop, till
from tests.billing.pushing.shop import V2, Shop, make_due, only, rewind, states, unpaced
from tests.factories import ACTOR

__all__ = ["shop", "till"]
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

DAY = timedelta(days=1)


def reconcile(shop: Shop, *, later: timedelta = timedelta(0), **how: int) -> Reconciled:
    return reconcile_connection(shop.connection, now=timezone.now() + later, **how)


def found() -> list[tuple[str, int, int]]:
    """Each hour's state, what was pushed and what Stripe has, oldest first."""
    rows = ReconRow.objects.order_by("hour")
    return [
        (row.state, row.pushed_units, int(row.stripe_units))
        for row in rows
        if row.pushed_units or row.stripe_units
    ]


def test_what_was_taken_is_confirmed_by_its_hour_with_one_read(shop: Shop) -> None:
    shop.sealed(3, 4, 5)
    shop.send_due()
    assert states() == ["accepted"] * 3

    report = reconcile(shop)

    assert (states(), report.confirmed, report.reads) == (["confirmed"] * 3, 3, 1)
    assert found() == [("ok", 5, 5), ("ok", 4, 4), ("ok", 3, 3)]
    charged = ReconRow.objects.order_by("hour").values_list("ledger_nanousd", flat=True)
    assert list(charged)[:3] == [50_000_000, 40_000_000, 30_000_000]


def test_case_04_what_arrived_unseen_is_found_and_not_sent_again(shop: Shop) -> None:
    shop.sealed(3)
    shop.stripe.fault("drop", path=V2, times=1)
    shop.send_due()
    rewind(only(), timedelta(days=30))
    make_due()
    unpaced(shop)
    shop.stripe.sim("knobs", dedup_window_s=0)
    assert shop.send_due() == ["ambiguous"]

    reconcile(shop)

    assert (only().state, shop.counted(), len(shop.events())) == ("confirmed", 3, 1)


def test_case_05_nothing_is_replaced_before_a_day_of_emptiness(shop: Shop) -> None:
    shop.sealed(3)
    push = only()
    Push.objects.filter(pk=push.pk).update(
        state="ambiguous", first_attempt_at=timezone.now(), is_doubtful=True, stripe_customer_id=shop.buyer
    )
    reconcile(shop)
    reconcile(shop, later=timedelta(hours=23))
    assert states() == ["ambiguous"]

    reconcile(shop, later=timedelta(hours=25))

    assert states() == ["void", "pending"]
    replacement = Push.objects.get(replaces=push)
    assert replacement.value_units == 3
    assert replacement.identifier != push.identifier


def test_case_05_a_sum_that_lags_is_no_proof_of_absence(shop: Shop) -> None:
    shop.sealed(3)
    shop.stripe.sim("knobs", summary_lag_s=3600)
    shop.send_due()

    reconcile(shop)
    assert (states(), [row[0] for row in found()]) == (["accepted"], ["lagging"])
    reconcile(shop, later=timedelta(hours=3))
    assert [row[0] for row in found()] == ["missing"]

    shop.stripe.sim("knobs", summary_lag_s=0)
    reconcile(shop, later=timedelta(hours=4))

    assert (states(), found()) == (["confirmed"], [("ok", 3, 3)])


def test_case_10_what_a_report_does_not_name_is_found_all_the_same(shop: Shop) -> None:
    shop.stripe.sim("knobs", error_samples_max=1)
    shop.sealed(3, 4, 5)
    shop.stripe.fault("async_reject", path=V2, times=2)
    shop.send_due()
    named = next(each for each in shop.events() if each["state"] == "rejected")["identifier"]
    reject(named, "meter_event_customer_not_found")

    for hours in (3, 4, 29):
        reconcile(shop, later=timedelta(hours=hours))

    # One was named, one was only found empty; both wait to be written anew or were, and none was sent twice.
    assert sorted(Push.objects.filter(replaces=None).values_list("state", flat=True)).count("confirmed") == 1
    lost = Push.objects.filter(replaces=None).exclude(state="confirmed")
    assert {push.state for push in lost} <= {"void", "rejected"}
    assert sum(push.value_units for push in lost) + shop.counted() == 12


def test_case_22_a_restored_database_is_reconciled_before_it_sends(shop: Shop) -> None:
    shop.sealed(3)
    shop.send_due()
    # As of an hour ago nobody knows that it was sent.
    Push.objects.update(state="pending", accepted_at=None)

    reconcile(shop)
    make_due()
    unpaced(shop)
    shop.send_due()
    reconcile(shop)

    assert (only().state, shop.counted(), len(shop.events())) == ("confirmed", 3, 1)


def test_case_24_what_others_write_is_foreign_and_left_alone(shop: Shop) -> None:
    [push] = shop.sealed(3)
    shop.send_due()
    foreign_at = push.stamp_at - timedelta(minutes=9)
    shop.stripe.event_v2(
        shop.buyer,
        5,
        event_name=shop.meter.event_name,
        timestamp=foreign_at.isoformat().replace("+00:00", "Z"),
    )

    for _ in range(2):
        reconcile(shop)
        make_due()
        shop.send_due()

    assert found() == [("foreign", 3, 8)]
    assert (states(), len(shop.events())) == (["confirmed"], 2)
    assert ReconRow.objects.get(state="foreign").why == "not_ours"


def test_an_event_counted_twice_is_an_excess_that_a_person_takes_back(shop: Shop) -> None:
    shop.sealed(3, 40)
    shop.send_due()
    push = Push.objects.get(value_units=3)
    shop.stripe.sim("knobs", dedup_window_s=0)
    shop.stripe.event_v2(
        shop.buyer,
        3,
        event_name=shop.meter.event_name,
        timestamp=push.stamp_at.isoformat().replace("+00:00", "Z"),
    )
    reconcile(shop)
    row = ReconRow.objects.get(state="excess")
    assert (row.pushed_units, row.stripe_units, surplus_units(row)) == (3, Decimal(6), 3)

    with pytest.raises(InvalidInput):
        fix_with_delta(row, units=2, actor=ACTOR, now=timezone.now())
    made = fix_with_delta(row, units=3, actor=ACTOR, now=timezone.now())
    with pytest.raises(WrongState):
        fix_with_delta(row, units=3, actor=ACTOR, now=timezone.now())
    make_due()
    unpaced(shop)
    shop.send_due()
    reconcile(shop)

    assert (made.value_units, shop.counted()) == (-3, 43)
    assert set(ReconRow.objects.values_list("state", flat=True)) == {"ok"}
    assert AuditEntry.objects.filter(action="recon_row.fix").count() == 1


def test_no_delta_takes_a_period_below_zero(shop: Shop) -> None:
    [push] = shop.sealed(3)
    shop.send_due()
    shop.stripe.event_v2(
        shop.buyer,
        50,
        event_name=shop.meter.event_name,
        timestamp=push.stamp_at.isoformat().replace("+00:00", "Z"),
    )
    reconcile(shop)
    with pytest.raises(WrongState, match="wait for usage"):
        fix_with_delta(ReconRow.objects.get(state="foreign"), units=50, actor=ACTOR, now=timezone.now())


@pytest.mark.parametrize(
    ("expected", "total", "state"),
    [
        (2**53 - 1, Decimal(2**53 - 1), "ok"),
        (2**53 - 1, Decimal(2**53 - 2), "missing"),
        (3, Decimal("3.5"), "foreign"),
        (3, Decimal("2.999999999999"), "foreign"),
    ],
)
def test_case_25_sums_are_compared_exactly(expected: int, total: Decimal, state: str) -> None:
    verdict = judge_hour(expected, total, youngest_at=None, is_doubtful=False, now=timezone.now())
    assert verdict is not None
    assert verdict.state == state


def test_case_25_a_sum_that_is_not_whole_raises_an_alarm(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    [push] = shop.sealed(3)
    shop.send_due()
    shop.stripe.event_v2(
        shop.buyer, "0.5", event_name=shop.meter.event_name,
        timestamp=push.stamp_at.isoformat().replace("+00:00", "Z"),
    )  # fmt: skip
    with caplog.at_level("ERROR"):
        reconcile(shop)

    assert ReconRow.objects.get(state="foreign").why == "not_whole"
    assert "recon.differs" in caplog.text
    assert states() == ["accepted"]


def test_a_surplus_is_ours_only_if_our_minutes_hold_it_whole() -> None:
    assert judge_surplus(Decimal(6), [Minute(3, Decimal(6))]).state == "excess"
    assert judge_surplus(Decimal(7), [Minute(3, Decimal(7))]).state == "foreign"
    assert judge_surplus(Decimal(8), [Minute(3, Decimal(3))]).state == "foreign"
    assert judge_surplus(Decimal(9), [Minute(3, Decimal(3)), Minute(2, Decimal(6))]).state == "excess"


def test_case_26_no_more_is_read_than_a_night_may(shop: Shop) -> None:
    for name in ("b", "c", "d"):
        customer, _ = shop.another_customer(name)
        shop.book(2, customer=customer)
    shop.sealed(3)
    for _ in range(3):
        unpaced(shop)
        make_due(state="pending")
        shop.send_due()

    report = reconcile(shop, reads_max=2)
    assert (report.reads, report.customers, report.left) == (2, 2, 2)
    report = reconcile(shop, reads_max=2)

    # Whoever was left comes first.
    assert set(states()) == {"confirmed"}


class Pages:
    """Sums of as many hours as asked for."""

    def __init__(self, hours: int) -> None:
        self.hours = hours

    def summaries(self, *_: object, **__: object) -> list[Summary]:
        first = hour_of(timezone.now()) - 200 * HOUR
        return [Summary(first, first + HOUR, Decimal(0))] * self.hours


def test_case_26_each_page_is_a_read() -> None:
    slept: list[float] = []
    reads = CountedReads(Pages(250), reads_max=4, every_s=0.2, sleep=slept.append)  # type: ignore[arg-type]  # a stand-in
    now = timezone.now()
    reads.summaries("mtr", "cus", now, now)
    assert reads.taken == 3
    reads.summaries("mtr", "cus", now, now)
    assert slept == [0.2]
    with pytest.raises(BudgetSpent):
        reads.summaries("mtr", "cus", now, now)


def test_case_26_more_than_a_hundred_hours_are_read_to_the_end(shop: Shop) -> None:
    start = shop.over - 130 * HOUR
    for hour in range(130):
        at = (start + hour * HOUR + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
        assert shop.stripe.event_v2(shop.buyer, 1, event_name=shop.meter.event_name, timestamp=at).is_success
    shop.sealed(3)
    shop.send_due()
    reads = CountedReads(shop.gateway, reads_max=10)
    reconcile_pair(
        reads,
        Pair(shop.till.customer, shop.meter, start),
        until=hour_of(timezone.now()) + HOUR,
        now=timezone.now(),
    )
    assert reads.taken == 2
    assert ReconRow.objects.filter(state="foreign").count() == 130


def test_a_refused_key_ends_the_run_and_is_told(shop: Shop) -> None:
    shop.sealed(3)
    shop.send_due()
    shop.stripe.fault("unauthorized", times=0)
    reconcile(shop)
    assert shop.connection.status == "broken"


def test_the_command_tells_what_differs_and_ends_with_1(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    [push] = shop.sealed(3)
    shop.send_due()
    call_command("stripe_reconcile", "--customer", shop.till.customer.external_id)
    assert "1 ok" in capsys.readouterr().out
    shop.stripe.event_v2(
        shop.buyer,
        5,
        event_name=shop.meter.event_name,
        timestamp=push.stamp_at.isoformat().replace("+00:00", "Z"),
    )
    with pytest.raises(SystemExit):
        call_command("stripe_reconcile", "--day", f"{push.stamp_at:%Y-%m-%d}")
    assert "foreign: " in capsys.readouterr().out
