"""From rows to pushes: nothing twice, nothing passed over, nothing in another's hands."""

from __future__ import annotations

from datetime import date, timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.utils import ProgrammingError

from billing.models import BillingCursor, ExchangeRate, PeriodClose, Push, Unsealed
from billing.pushing.sealing import seal_all, seal_customer
from billing.pushing.targets import Waiting
from tests.billing.pushing.conftest import CENT, HOUR, MINUTE, TEN, Till, connect, map_customer
from tests.factories import make_customer, make_tenant

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

SECOND = timedelta(seconds=1)
NOON = TEN + 2 * HOUR


def pushes() -> list[Push]:
    return list(Push.objects.order_by("stamp_at", "id"))


def values() -> list[int]:
    return [push.value_units for push in pushes()]


def test_an_hour_that_is_over_becomes_one_push(billed: Till) -> None:
    billed.book(3 * CENT + 1, at=TEN)
    billed.book(CENT, at=TEN + 59 * MINUTE)
    billed.book(5 * CENT, at=TEN + HOUR)  # of the hour that runs
    billed.record()

    report = seal_all(TEN + HOUR + 5 * MINUTE)

    [push] = pushes()
    assert (report.customers, report.pushes) == (1, 1)
    assert (push.value_units, push.stamp_at, push.state) == (4, TEN + HOUR - SECOND, Push.State.PENDING)
    assert (push.charge_nanousd, push.row_count, push.stripe_customer_id) == (4 * CENT + 1, 2, "cus_s1")
    assert push.identifier.startswith("um1-")
    assert BillingCursor.objects.get().carry_atto == 10**9  # one nano-dollar is carried
    assert billed.waiting_nanousd() == 5 * CENT


def test_sealing_twice_changes_nothing(billed: Till) -> None:
    billed.book()
    billed.record()

    seal_all(NOON)
    seal_all(NOON)

    assert values() == [1]


def test_less_than_a_unit_is_carried_until_it_makes_one(billed: Till) -> None:
    for hour in range(4):
        billed.book(CENT * 3 // 10, at=TEN + hour * HOUR)
        billed.record()
        seal_all(TEN + (hour + 1) * HOUR)

    [push] = pushes()
    assert (push.value_units, push.bucket_start) == (1, TEN + 3 * HOUR)


def test_usage_that_is_booked_late_gets_the_minute_before_in_the_same_hour(billed: Till) -> None:
    billed.book(CENT)
    billed.record()
    seal_all(TEN + HOUR)
    billed.book(2 * CENT)
    billed.record()
    seal_all(NOON)

    assert [(push.value_units, push.stamp_at, push.seq) for push in pushes()] == [
        (2, TEN + HOUR - MINUTE - SECOND, 1),
        (1, TEN + HOUR - SECOND, 0),
    ]


def test_an_hour_is_split_where_the_billing_period_ends(billed: Till) -> None:
    edge = TEN + 30 * MINUTE
    map_customer(billed.customer, period_start=edge - timedelta(days=30), period_end=edge)
    for units, at in ((1, edge - SECOND), (2, edge), (4, edge + SECOND)):
        billed.book(units * CENT, at=at)
    billed.record()

    seal_all(TEN + HOUR)

    assert [(push.value_units, push.stamp_at) for push in pushes()] == [
        (1, edge - SECOND),
        (6, TEN + HOUR - SECOND),
    ]


def test_usage_of_a_final_period_goes_to_the_open_one_and_says_so(billed: Till) -> None:
    edge = TEN + HOUR
    map_customer(billed.customer, period_start=TEN - timedelta(days=30), period_end=edge)
    billed.book(CENT, at=TEN)
    billed.record()
    seal_all(edge)  # in the draft's time
    billed.book(2 * CENT, at=TEN + MINUTE)
    billed.record()
    seal_all(edge + HOUR + 5 * MINUTE)

    first, late = pushes()
    assert (first.stamp_at, first.late_from) == (edge - SECOND, None)
    assert (late.value_units, late.stamp_at, late.late_from) == (2, edge + HOUR + 5 * MINUTE, TEN + MINUTE)


def test_what_was_told_to_be_final_is_final(billed: Till) -> None:
    PeriodClose.objects.create(
        tenant=billed.tenant, mode="test", customer=billed.customer, closed_until=TEN + HOUR
    )
    billed.book(CENT)
    billed.record()
    seal_all(NOON)

    assert [(push.stamp_at, push.late_from) for push in pushes()] == [(NOON, TEN)]


def test_a_subscription_that_has_only_begun_bills_what_was_before_it(billed: Till) -> None:
    begun = TEN + 50 * MINUTE
    map_customer(billed.customer, period_start=begun, period_end=begun + timedelta(days=30))
    billed.book(CENT, at=TEN)
    billed.record()
    seal_all(TEN + HOUR)

    assert [(push.stamp_at, push.late_from) for push in pushes()] == [(TEN + HOUR, TEN)]


def test_usage_older_than_34_days_is_stamped_now(billed: Till) -> None:
    now = TEN + timedelta(days=34) + HOUR
    billed.book(CENT, at=TEN)  # its hour ends exactly 34 days before now
    billed.book(2 * CENT, at=TEN - HOUR)
    billed.book(4 * CENT, at=TEN + HOUR)
    billed.record()

    seal_all(now)

    assert [(push.value_units, push.stamp_at, push.late_from) for push in pushes()] == [
        (4, TEN + 2 * HOUR - SECOND, None),
        (3, now, TEN - HOUR),
    ]


def test_a_correction_is_a_negative_push_clamped_at_an_empty_period(billed: Till) -> None:
    hold_id = billed.streams.hold_id()
    billed.book(5 * CENT)
    billed.record()
    seal_all(TEN + HOUR)
    billed.correct(-7 * CENT, hold_id=hold_id, corrects=f"{hold_id}.settled.0", at=TEN + HOUR)
    billed.record()
    seal_all(TEN + 2 * HOUR)

    assert values() == [5, -5]
    assert BillingCursor.objects.get().is_owed

    billed.book(3 * CENT, at=TEN + 2 * HOUR)
    billed.record()
    seal_all(TEN + 3 * HOUR)

    assert values() == [5, -5, 1]
    assert not BillingCursor.objects.get().is_owed


def test_what_is_owed_goes_out_once_it_may_without_new_usage(billed: Till) -> None:
    hold_id = billed.streams.hold_id()
    billed.correct(-2 * CENT, hold_id=hold_id, corrects=f"{hold_id}.settled.0")
    billed.record()
    seal_all(NOON)
    assert values() == []
    billed.book(9 * CENT, at=NOON)
    billed.record()
    seal_all(NOON + HOUR)

    assert values() == [7]
    seal_all(NOON + 2 * HOUR)
    assert values() == [7]


def test_an_unmapped_customer_is_held_and_one_without_meter_waits(till: Till) -> None:
    till.book()
    till.record()

    assert seal_all(NOON).waiting == {"no_connection": 1}
    meter = connect(till.tenant)
    meter.status = "archived"
    meter.save(update_fields=["status"])
    assert seal_all(NOON).waiting == {"no_meter": 1}
    assert till.waiting_nanousd() == CENT

    connect(till.tenant, stripe_meter_id="mtr_2")
    seal_all(NOON)
    [push] = pushes()
    assert (push.state, push.why, push.stripe_customer_id) == ("held", "unmapped", "")


def test_with_two_currencies_an_unmapped_customer_waits(till: Till) -> None:
    connect(till.tenant)
    connect(till.tenant, currency="eur")
    till.book()
    till.record()

    assert seal_all(NOON).waiting == {"which_currency": 1}


def test_other_currencies_are_converted_once_at_the_days_rate(till: Till) -> None:
    rate = {"tenant": till.tenant, "mode": "test", "currency": "jpy"}
    connect(till.tenant, currency="jpy")
    map_customer(till.customer, currency="jpy")
    for day in range(2):
        till.book(CENT, at=TEN + day * timedelta(days=1))
    till.record()
    now = TEN + timedelta(days=2)

    assert seal_all(now).waiting == {"no_rate": 1}
    ExchangeRate.objects.create(**rate, day=date(2026, 11, 21), rate_nano=155_000_000_000)
    seal_all(now)
    assert values() == [1]  # 1.55 yen; the day before has no rate and waits
    ExchangeRate.objects.create(**rate, day=date(2026, 11, 1), rate_nano=150_000_000_000)
    seal_all(now)

    assert sorted(values()) == [1, 2]  # 1.55 + 1.50 = 3.05 yen in all
    assert BillingCursor.objects.get().carry_atto == 5 * 10**16


def test_a_currency_that_changes_begins_a_cursor_of_its_own(billed: Till) -> None:
    connect(billed.tenant, currency="eur")
    ExchangeRate.objects.create(
        tenant=billed.tenant, mode="test", currency="eur", day=date(2026, 1, 1), rate_nano=900_000_000
    )
    billed.book(CENT + CENT // 2)
    billed.record()
    seal_all(TEN + HOUR)
    map_customer(billed.customer, currency="eur")
    billed.book(10 * CENT, at=TEN + HOUR)
    billed.record()
    seal_all(NOON)

    assert [(push.currency, push.value_units) for push in pushes()] == [("usd", 1), ("eur", 9)]


def test_two_sealers_at_once_seal_once(billed: Till) -> None:
    for hour in range(5):
        billed.book(CENT, at=TEN + hour * HOUR)
    billed.record()
    barrier, made = Barrier(4), []

    def run() -> None:
        try:
            barrier.wait()
            made.append(seal_all(TEN + 5 * HOUR).pushes)
        finally:
            connections.close_all()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(made) == 5
    assert (values(), billed.waiting_nanousd()) == ([1] * 5, 0)


def test_rows_that_the_recorder_is_adding_to_are_left_for_the_next_time(billed: Till) -> None:
    billed.book(CENT)
    billed.record()
    with transaction.atomic(using="recorder"):
        with connections["recorder"].cursor() as cursor:
            cursor.execute("SELECT 1 FROM unsealed FOR UPDATE")
        assert seal_all(NOON).pushes == 0

    assert seal_all(NOON).pushes == 1


def test_one_customers_trouble_is_not_the_others(billed: Till) -> None:
    other = make_customer(billed.tenant, "customer-2")
    map_customer(other, "cus_s2")
    billed.book(CENT)
    billed.book(CENT, customer=other)
    billed.record()
    # A sum beyond all reason: its cursor cannot hold it.
    Unsealed.objects.filter(customer_id=other.pk).update(charge_nanousd=2**62)
    BillingCursor.objects.create(
        tenant=billed.tenant, mode="test", customer=other, currency="usd", cumulative_atto=10**60 - 1
    )

    report = seal_all(NOON)

    assert (report.pushes, report.waiting) == (1, {"error": 1})
    assert Unsealed.objects.filter(customer_id=other.pk).count() == 1


def test_a_webhook_takes_the_place_of_a_connection(till: Till) -> None:
    from billing.models import PushDestination

    destination = PushDestination.objects.create(
        tenant=till.tenant, mode="test", url="https://a.example/hook", secret="sealed"
    )
    till.book(CENT)
    till.record()
    seal_all(NOON)

    [push] = pushes()
    assert (push.sink, push.destination_id, push.state) == ("webhook", destination.pk, "pending")


def test_a_push_never_changes_what_it_says(billed: Till) -> None:
    billed.book()
    billed.record()
    seal_all(NOON)
    push = Push.objects.get()
    changes: dict[str, object] = {
        "value_units": 2, "identifier": "um1-x", "stamp_at": NOON, "minute_no": 1, "currency": "eur", "seq": 7,
    }  # fmt: skip
    for name, value in changes.items():
        with pytest.raises(ProgrammingError, match="never changed"), transaction.atomic():
            Push.objects.filter(pk=push.pk).update(**{name: value})
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        push.delete()
    Push.objects.filter(pk=push.pk).update(first_attempt_at=NOON)
    with pytest.raises(ProgrammingError, match="never changed"), transaction.atomic():
        Push.objects.filter(pk=push.pk).update(stripe_customer_id="cus_other")


def test_a_test_row_cannot_be_sealed_to_a_live_connection_in_any_way(billed: Till) -> None:
    live_meter = connect(billed.tenant, mode="live", stripe_meter_id="mtr_live")
    live_customer = make_customer(billed.tenant, mode="live")
    other = connect(make_tenant("Globex"), stripe_meter_id="mtr_g")
    billed.book()
    billed.record()
    seal_all(NOON)
    push = Push.objects.get()
    assert push.connection.mode == push.meter.mode == "test"
    given = {
        field.attname: getattr(push, field.attname) for field in Push._meta.concrete_fields if field.name != "id"
    } | {"identifier": "um1-other", "minute_no": 1, "seq": 9}  # fmt: skip

    for wrong in (
        {"connection_id": live_meter.connection_id},
        {"meter_id": live_meter.pk, "target_id": live_meter.pk},
        {"connection_id": live_meter.connection_id, "meter_id": live_meter.pk, "target_id": live_meter.pk},
        {"mode": "live"},
        {"mode": "live", "customer_id": live_customer.pk},
        {"customer_id": live_customer.pk},
        {"tenant_id": other.tenant_id},
        {"connection_id": other.connection_id, "meter_id": other.pk, "target_id": other.pk},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Push.objects.create(**given | wrong)
    assert seal_customer(live_customer, "usage", now=NOON) == []
    assert Push.objects.create(**given).mode == "test"  # so nothing else was wrong with it


def test_a_customer_of_a_disconnected_account_waits(billed: Till) -> None:
    from billing.models import StripeConnection

    StripeConnection.objects.update(status="disconnected")
    assert seal_customer(billed.customer, "usage", now=NOON) == Waiting("no_connection")


def test_a_customer_that_somebody_else_is_sealing_is_left_alone(billed: Till) -> None:
    billed.book(CENT)
    billed.record()
    seal_all(TEN + HOUR)
    billed.book(CENT, at=TEN + HOUR)
    billed.record()
    with transaction.atomic(using="owner"):
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT 1 FROM billing_cursor FOR UPDATE")
        assert seal_all(NOON).waiting == {"busy": 1}
    assert (values(), billed.waiting_nanousd()) == ([1], CENT)
