"""The cases about amounts, accounts and memory: what is counted equals what is booked, whoever forgets what."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from threading import Thread

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from billing.models import BillingCursor, ExchangeRate, LedgerRow, Push, PushAttempt, StripeConnection
from billing.pushing.confirming import Seen, judge_minute
from billing.pushing.dispatching import push_one
from billing.pushing.sealing import seal_all
from billing.pushing.sinks import csv_lines
from billing.stripe.keys import parse_key, seal_key
from billing.stripe.outcomes import ACCEPTED, Outcome
from tests.billing.pushing.conftest import CENT, HOUR, MINUTE, TEN, Till, connect, map_customer
from tests.billing.pushing.shop import Shop, thawed, unpaced
from tests.factories import make_customer, make_tenant

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

DAY = timedelta(days=1)


def test_case_14_late_usage_in_the_drafts_time_still_goes_to_its_period(billed: Till) -> None:
    edge = TEN + HOUR
    map_customer(billed.customer, period_start=TEN - 30 * DAY, period_end=edge)
    for minutes in (1, 2):
        billed.book(CENT, at=edge - MINUTE)
        billed.record()
        seal_all(edge + minutes * 20 * MINUTE)

    stamps = [push.stamp_at for push in Push.objects.order_by("-stamp_at")]
    assert stamps == [edge - timedelta(seconds=1), edge - MINUTE - timedelta(seconds=1)]


def test_case_18_customers_of_one_tenant_pay_in_their_own_currencies(till: Till) -> None:
    rates = {"jpy": 150_000_000_000, "kwd": 307_450_000, "eur": 921_000_000}
    for currency in ("usd", *rates):
        connect(till.tenant, currency=currency, unit_minor=10 if currency == "kwd" else 1)
        customer = make_customer(till.tenant, f"in-{currency}")
        map_customer(customer, f"cus_{currency}", currency=currency)
        if currency in rates:
            ExchangeRate.objects.create(
                tenant=till.tenant,
                mode="test",
                currency=currency,
                day=date(2026, 1, 1),
                rate_nano=rates[currency],
            )
        till.book(1234 * CENT, customer=customer)
    till.record()
    seal_all(TEN + HOUR)

    values = {push.currency: push.value_units for push in Push.objects.all()}
    # $12.34: 1851 yen, 3.793933 dinars in tens of fils, 11.36514 euros in cents.
    assert values == {"usd": 1234, "jpy": 1851, "kwd": 379, "eur": 1136}


def test_case_19_what_is_pushed_is_the_floor_of_the_ledger_over_weeks(billed: Till) -> None:
    random = Random(7)
    for number in range(1500):
        at = TEN - timedelta(minutes=random.randrange(20 * 24 * 60))
        billed.book(random.randrange(1, CENT // 3), at=at)
        if number % 500 == 499:
            billed.record()
            seal_all(TEN + HOUR)

    booked = sum(LedgerRow.objects.values_list("charge_nanousd", flat=True))
    pushed = sum(Push.objects.values_list("value_units", flat=True))
    cursor = BillingCursor.objects.get()
    assert pushed == booked // CENT
    assert int(cursor.sealed_nanousd) == booked
    assert pushed * CENT + cursor.carry_atto // 10**9 == booked


def test_case_19_a_customer_below_a_cent_for_months_is_billed_once(billed: Till) -> None:
    for week in range(4, 0, -1):
        billed.book(CENT // 4, at=TEN - week * 7 * DAY)
        billed.record()
        seal_all(TEN - week * 7 * DAY + HOUR)

    [push] = Push.objects.all()
    assert (push.value_units, push.bucket_start) == (1, TEN - 7 * DAY)


def test_case_20_fifteen_digits_are_sealed_and_sixteen_never_leave(billed: Till) -> None:
    billed.book(9 * 10**15)
    billed.record()
    seal_all(TEN + HOUR)
    push = Push.objects.get()
    assert push.value_units == 9 * 10**8
    given = {
        field.attname: getattr(push, field.attname)
        for field in Push._meta.concrete_fields
        if field.name != "id"
    }
    other = given | {"identifier": "um1-other", "minute_no": 1, "seq": 9}
    for value in (0, 10**15, -(10**15)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Push.objects.create(**other | {"value_units": value})
    assert Push.objects.create(**other | {"value_units": 10**15 - 1}).value_units == 10**15 - 1


def test_case_22_a_database_an_hour_older_bills_nothing_twice(shop: Shop) -> None:
    shop.book(3)
    shop.till.record()
    with connections["owner"].cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT * FROM unsealed")
    try:
        seal_all(timezone.now())
        shop.send_due()
        first = Push.objects.get().identifier
        # The restored database knows neither push nor cursor, and has the usage unsealed.
        thawed("DELETE FROM push_attempt")
        thawed("DELETE FROM push")
        thawed("DELETE FROM billing_cursor")
        thawed("INSERT INTO unsealed SELECT * FROM kept")
    finally:
        with connections["owner"].cursor() as cursor:
            cursor.execute("DROP TABLE kept")

    seal_all(timezone.now())
    again = Push.objects.get()
    assert again.identifier == first
    unpaced(shop)
    push_one(again.pk)

    assert (Push.objects.get().state, shop.counted(), len(shop.events())) == ("accepted", 3, 1)


def test_case_23_two_modes_and_two_tenants_each_use_their_own_key(shop: Shop) -> None:
    globex = make_tenant("Globex")
    shop.till.streams.open(globex.pk)
    keys = {"test": "rk_test_sim", "globex": "rk_test_globex", "live": "rk_live_sim"}
    shop.stripe.sim("keys", key=keys["globex"], account="acct_globex")
    tills = [
        (Till(shop.till.tenant, make_customer(shop.till.tenant, mode="live"), shop.till.streams, shop.till.recorder,
              "live"), keys["live"]),
        (Till(globex, make_customer(globex), shop.till.streams, shop.till.recorder), keys["globex"]),
    ]  # fmt: skip
    for till, key in tills:
        meter = connect(till.tenant, mode=till.mode)
        seal_key(meter.connection, parse_key(key, mode=till.mode))
        meter.connection.save()
        map_customer(till.customer, "cus_there")
        till.book(2 * CENT, at=shop.over)
    shop.sealed(1)
    shop.send_due()

    used = {
        (attempt.push.tenant.name, attempt.push.mode): (attempt.key_last4, attempt.push.connection.mode)
        for attempt in PushAttempt.objects.select_related("push__tenant", "push__connection")
    }
    assert used == {
        ("Acme", "test"): ("_sim", "test"),
        ("Acme", "live"): ("_sim", "live"),
        ("Globex", "test"): ("obex", "test"),
    }
    log = [each for each in shop.stripe.told("log") if each["path"] == "/v2/billing/meter_events"]
    assert len(log) == 3
    assert shop.counted() == 1


def test_case_23_a_live_key_is_never_taken_for_test_mode(till: Till) -> None:
    from tenants.errors import InvalidInput

    with pytest.raises(InvalidInput, match="test"):
        parse_key("rk_live_sim", mode="test")


@pytest.mark.parametrize(
    ("total", "seen"),
    [
        (Decimal(2**53 - 1), Seen.CONFIRMED),
        (Decimal("0.5"), Seen.OTHER),
        (Decimal(2**53), Seen.OTHER),
        (Decimal(0), Seen.EMPTY),
    ],
    ids=str,
)
def test_case_25_a_sum_is_judged_exactly(total: Decimal, seen: Seen) -> None:
    assert judge_minute(2**53 - 1, total, absent_since=None, now=TEN) == seen


def test_case_27_two_beats_make_one_push_and_one_event(shop: Shop) -> None:
    [push] = shop.sealed(3)
    shop.seal()
    assert shop.send_due() == ["sent"]
    assert shop.send_due() == []
    assert (Push.objects.count(), shop.counted()) == (1, 3)
    assert push.identifier == Push.objects.get().identifier


def test_an_export_has_a_line_for_every_push_and_no_formula(shop: Shop) -> None:
    customer = make_customer(shop.till.tenant, "=cmd()")
    map_customer(customer, "cus_formula")
    shop.book(2, customer=customer)
    shop.sealed(1)

    rows = list(csv.DictReader(csv_lines(Push.objects.select_related("customer").order_by("value_units"))))

    assert [(row["customer"], row["value_units"], row["charge_usd"]) for row in rows] == [
        ("customer-1", "1", "0.01"),
        ("'=cmd()", "2", "0.02"),
    ]


def test_a_sealer_that_nobody_connected_a_key_for_sends_nothing(shop: Shop) -> None:
    StripeConnection.objects.update(secret="")
    shop.sealed(1)
    assert shop.send_due() == []


def test_one_push_at_a_time_goes_to_a_customer_and_meter(shop: Shop) -> None:
    first, second = shop.sealed(3, 4)
    customer, _ = shop.another_customer("customer-2")
    shop.book(5, customer=customer)
    shop.seal()
    theirs = Push.objects.get(customer=customer)
    said: list[str] = []

    class Meanwhile:
        """While one push is on its way, another worker tries its customer's next, and somebody else's."""

        def send(self, push: Push) -> Outcome:
            def run() -> None:
                try:
                    said.extend([push_one(second.pk), push_one(theirs.pk)])
                finally:
                    connections.close_all()

            worker = Thread(target=run)
            worker.start()
            worker.join()
            return ACCEPTED

    assert push_one(first.pk, opening=lambda push: Meanwhile()) == "sent"
    assert said == ["busy", "sent"]
    assert push_one(second.pk) == "sent"
