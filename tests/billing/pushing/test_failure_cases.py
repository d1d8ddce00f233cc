"""What can go wrong between a ledger row and a confirmed meter event, case by case as the design numbers them."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import httpx
import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from billing.models import CustomerMap, Push, PushAttempt, StripeConnection, StripeMeter
from billing.pushing.confirming import Seen, confirm
from billing.pushing.dispatching import due_pushes, push_one
from billing.pushing.releasing import reject, release_ready
from billing.stripe.keys import parse_key, seal_key
from billing.stripe.outcomes import Outcome, Verdict
from tests.billing.pushing.conftest import HOUR, map_customer
from tests.billing.pushing.shop import V1, V2, Shop, make_due, only, rewind, states, thawed, unpaced

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

DAY = timedelta(days=1)


class Dying:
    """A sink whose worker is killed before or after the event was handed over."""

    def __init__(self, inner: Any, *, before: bool) -> None:
        self._inner, self._before = inner, before

    def send(self, push: Push) -> Outcome:
        if not self._before:
            self._inner.send(push)
        raise SystemExit("killed")


def test_case_01_the_same_push_twice_is_one_event(shop: Shop) -> None:
    [push] = shop.sealed(3)

    assert [push_one(push.pk), push_one(push.pk)] == ["sent", "not_due"]

    Push.objects.update(state="retry", due_at=timezone.now())
    barrier, results = Barrier(4), []

    def run() -> None:
        try:
            barrier.wait()
            results.append(push_one(push.pk))
        finally:
            connections.close_all()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("sent") == 1
    assert (states(), shop.counted(), len(shop.events())) == (["accepted"], 3, 1)


@pytest.mark.parametrize("endpoint", ["v1", "v2"])
def test_case_02_a_duplicate_is_delivered_and_another_refusal_is_not(
    shop: Shop, settings: Settings, endpoint: str
) -> None:
    settings.FAREBOX_STRIPE_EVENTS = endpoint
    [push] = shop.sealed(3)
    push_one(push.pk)
    Push.objects.update(state="retry", due_at=timezone.now())
    shop.stripe.advance(5)
    push_one(push.pk)
    assert (states(), shop.counted()) == (["accepted"], 3)

    shop.sealed(4)
    StripeMeter.objects.update(event_name="identifier_unknown")
    shop.send_due()
    assert sorted(states()) == ["accepted", "held"]
    assert shop.counted() == 3


@pytest.mark.parametrize("moment", ["before", "after"])
def test_case_03_a_worker_killed_around_the_call_counts_once(shop: Shop, moment: str) -> None:
    from billing.pushing.sinks import open_sink

    [push] = shop.sealed(3)
    with pytest.raises(SystemExit):
        push_one(push.pk, opening=lambda each: Dying(open_sink(each), before=moment == "before"))
    assert (states(), push_one(push.pk)) == (["inflight"], "not_due")

    make_due()
    assert push_one(push.pk) == "sent"

    assert (states(), shop.counted()) == (["accepted"], 3)
    assert [each.verdict for each in PushAttempt.objects.all()] == ["lost", "accepted"]


def test_case_03_a_worker_killed_after_it_said_so_changes_nothing(shop: Shop) -> None:
    [push] = shop.sealed(3)
    push_one(push.pk)

    assert push_one(push.pk) == "not_due"  # the broker delivers the task again
    assert shop.counted() == 3


def test_case_04_a_lost_answer_is_asked_for_again_and_never_after_the_window(shop: Shop) -> None:
    [push] = shop.sealed(3)
    shop.stripe.fault("drop", path=V2)
    push_one(push.pk)
    push.refresh_from_db()
    assert (push.state, push.is_doubtful) == ("retry", True)
    make_due()
    assert push_one(push.pk) == "paced"  # a sink that does not answer is left alone for a while
    unpaced(shop)
    make_due()
    push_one(push.pk)
    assert (states(), shop.counted()) == (["accepted"], 3)

    shop.stripe.fault("drop", path=V2)
    late = shop.sealed(3, 5)[1]
    push_one(late.pk)
    rewind(late, 29 * DAY + HOUR)
    shop.stripe.sim("knobs", dedup_window_s=0)
    make_due(pk=late.pk)
    assert push_one(late.pk) == "ambiguous"
    make_due(pk=late.pk)
    assert push_one(late.pk) == "not_due"

    assert confirm(Push.objects.get(pk=late.pk), shop.gateway, now=timezone.now()) == Seen.CONFIRMED
    assert late.pk in Push.objects.filter(state="confirmed").values_list("pk", flat=True)


def test_case_05_an_empty_minute_is_no_proof_for_a_day(shop: Shop) -> None:
    shop.stripe.sim("knobs", summary_lag_s=3600.0)
    [push] = shop.sealed(3)
    shop.stripe.fault("drop", path=V2)
    push_one(push.pk)
    rewind(push, 30 * DAY)
    make_due()
    push_one(push.pk)
    now = timezone.now()

    assert confirm(only(), shop.gateway, now=now) == Seen.EMPTY
    assert confirm(only(), shop.gateway, now=now + 23 * HOUR) == Seen.EMPTY
    shop.stripe.advance(3601)
    assert confirm(only(), shop.gateway, now=now + 23 * HOUR) == Seen.CONFIRMED
    assert (states(), shop.counted()) == (["confirmed"], 3)


def test_case_05_a_minute_that_stays_empty_is_written_anew(shop: Shop) -> None:
    [push] = shop.sealed(3)
    shop.stripe.fault("unavailable_503", path=V2)
    push_one(push.pk)
    rewind(push, 30 * DAY)
    make_due()
    assert push_one(push.pk) == "ambiguous"
    now = timezone.now()
    for hours in (0, 24):
        confirm(Push.objects.get(pk=push.pk), shop.gateway, now=now + hours * HOUR)

    push.refresh_from_db()
    again = push.replaced_by
    assert (push.state, again.state, again.value_units) == ("void", "pending", 3)
    assert again.identifier != push.identifier
    Push.objects.filter(pk=again.pk).update(due_at=timezone.now())
    confirm(Push.objects.get(pk=push.pk), shop.gateway, now=now + 48 * HOUR)
    assert Push.objects.count() == 2


@pytest.mark.parametrize("reason", ["resource-specific", "global-rate"])
def test_case_06_asked_too_often_waits_and_others_go_on(shop: Shop, reason: str) -> None:
    [push] = shop.sealed(3)
    other, buyer = shop.another_customer("customer-2")
    shop.book(4, customer=other)
    shop.seal()
    shop.stripe.fault("rate_limited", path=V2, contains=shop.buyer, reason=reason)

    assert push_one(push.pk) == "sent"
    push.refresh_from_db()
    assert (push.state, push.why, push.is_doubtful) == ("retry", reason, False)
    assert push.due_at > timezone.now() - timedelta(seconds=1)
    theirs = Push.objects.get(customer=other)
    # A limit of this customer is not the others'; one of the account stops all of it for a while.
    assert push_one(theirs.pk) == ("sent" if reason == "resource-specific" else "paced")
    assert shop.counted(buyer) == (4 if reason == "resource-specific" else 0)


def test_case_06_a_lock_that_timed_out_is_tried_again(shop: Shop) -> None:
    [push] = shop.sealed(3)
    shop.stripe.fault("lock_timeout", path=V2)
    push_one(push.pk)
    make_due()
    push_one(push.pk)

    assert (states(), shop.counted()) == (["accepted"], 3)


def test_case_06_a_midnight_of_many_customers_stays_under_the_bucket(shop: Shop) -> None:
    for number in range(12):
        customer, _ = shop.another_customer(f"many-{number}")
        shop.book(1, customer=customer)
    shop.seal()

    dues = due_pushes()
    results = [push_one(due.push_id) for due in dues]

    assert len(dues) == 12
    assert max(due.countdown_s for due in dues) > 2  # spread at 5 a second
    assert 5 <= results.count("sent") < 12
    assert results.count("paced") == 12 - results.count("sent")
    assert set(states()) == {"accepted", "pending"}


@pytest.mark.parametrize("endpoint", ["v1", "v2"])
@pytest.mark.parametrize("fault", ["error_500", "html_502", "unavailable_503", "conflict_409"])
def test_case_07_a_failure_of_stripes_is_repeated_until_it_counts_once(
    shop: Shop, settings: Settings, fault: str, endpoint: str
) -> None:
    settings.FAREBOX_STRIPE_EVENTS = endpoint
    [push] = shop.sealed(3)
    done = {} if fault == "conflict_409" else {"execute": True}
    shop.stripe.fault(fault, path=V1 if endpoint == "v1" else V2, **done)
    push_one(push.pk)
    assert states() == ["retry"]
    make_due()
    unpaced(shop)
    push_one(push.pk)

    assert (states(), shop.counted()) == (["accepted"], 3)
    assert len({each["identifier"] for each in shop.events()}) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_case_08_a_refused_key_stops_the_connection_and_loses_nothing(shop: Shop, status: int) -> None:
    pushes = shop.sealed(1, 2, 4)
    push_one(pushes[0].pk)
    if status == 401:
        shop.stripe.sim("keys", key="rk_test_sim", status="revoked")
    else:
        shop.stripe.sim("keys", key="rk_test_sim", scopes=["billing_meter_read"])

    shop.send_due()
    assert StripeConnection.objects.get().status == "broken"
    assert sorted(states()) == ["accepted", "pending", "pending"]
    make_due()
    assert shop.send_due() == []

    shop.stripe.sim("keys", key="rk_test_new")
    connection = StripeConnection.objects.get()
    seal_key(connection, parse_key("rk_test_new", mode="test"))
    connection.status = "ok"
    connection.save()
    shop.send_due()
    assert (states(), shop.counted()) == (["accepted"] * 3, 7)


def test_case_12_a_clock_that_is_wrong_delays_and_loses_nothing(shop: Shop) -> None:
    [push] = shop.sealed(3)
    shop.stripe.sim("clock", now=push.stamp_at.timestamp() - 6 * 60, frozen=True)
    push_one(push.pk)
    push.refresh_from_db()
    assert (push.state, push.why) == ("retry", "clock_ahead")

    shop.stripe.sim("clock", now=time.time() + 360, frozen=True)
    make_due()
    push_one(push.pk)
    assert (states(), shop.counted()) == (["accepted"], 3)


def test_case_13_usage_held_for_forty_days_is_stamped_when_it_goes(shop: Shop) -> None:
    CustomerMap.objects.all().delete()
    at = shop.over - 33 * DAY
    shop.till.book(30_000_000, at=at)
    shop.seal()
    push = only()
    assert (push.state, push.why, push.late_from) == ("held", "unmapped", None)
    map_customer(shop.till.customer, shop.buyer)

    now = timezone.now() + 7 * DAY
    assert (release_ready(now), release_ready(now)) == (1, 0)

    push.refresh_from_db()
    going = push.replaced_by
    assert (push.state, going.state, going.late_from) == ("void", "pending", at)
    assert (going.value_units, going.stamp_at) == (3, now.replace(microsecond=0))


def test_case_13_a_push_that_grew_too_old_while_it_waited_is_stamped_anew(shop: Shop) -> None:
    at = shop.over - 34 * DAY + 4 * HOUR
    shop.till.book(30_000_000, at=at)
    shop.seal()
    push = only()
    thawed("UPDATE push SET stamp_at = stamp_at - interval '1 day'")

    assert push_one(push.pk) == "restamped"
    assert shop.send_due() == ["sent"]

    assert sorted(states()) == ["accepted", "void"]
    assert shop.counted() == 3
    assert Push.objects.get(state="accepted").late_from == at


def test_case_14_of_a_subscription_that_ended_nothing_is_lost(shop: Shop) -> None:
    map_customer(shop.till.customer, shop.buyer, state="no_subscription")
    [push] = shop.sealed(3)

    assert (push.state, push.why) == ("held", "no_subscription")
    assert push_one(push.pk) == "not_due"
    map_customer(
        shop.till.customer, shop.buyer, state="mapped", period_start=shop.over + HOUR,
        period_end=shop.over + 30 * DAY,
    )  # fmt: skip
    assert release_ready(timezone.now()) == 1
    going = Push.objects.get(state="pending")
    assert going.stamp_at >= shop.over + HOUR  # within the new subscription's period
    assert going.late_from == push.bucket_start
    shop.send_due()
    assert shop.counted() == 3


def test_case_17_one_poison_push_of_a_hundred_stalls_nobody(shop: Shop) -> None:
    for number in range(24):
        customer, _ = shop.another_customer(f"many-{number}")
        shop.book(1, customer=customer)
    shop.seal()
    ordered = list(Push.objects.due())
    poisoned = ordered[6]

    class Poisoned:
        def send(self, push: Push) -> Outcome:
            bad = push.pk == poisoned.pk
            return (
                Outcome(Verdict.INVALID, code="payload_invalid_value") if bad else Outcome(Verdict.ACCEPTED)
            )

    for push in ordered:
        unpaced(shop)
        push_one(push.pk, opening=lambda push: Poisoned())

    assert states().count("accepted") == 23
    poisoned.refresh_from_db()
    assert (poisoned.state, poisoned.why) == ("failed", "payload_invalid_value")


def test_case_27_without_redis_pushes_go_on(shop: Shop, settings: Settings, monkeypatch: Any) -> None:
    from billing.pushing import pacing
    from enforcement.control_client import ControlClient

    class Away:
        client = ControlClient("redis://127.0.0.1:1/0")

    [push] = shop.sealed(3)
    monkeypatch.setattr(pacing, "shared_control", Away)

    assert push_one(push.pk) == "sent"
    assert shop.counted() == 3


def test_case_09_a_customer_that_is_gone_is_found_later_and_never_billed_twice(shop: Shop) -> None:
    [push] = shop.sealed(3)
    httpx.delete(
        f"{shop.stripe.base_url}/v1/customers/{shop.buyer}", headers={"authorization": "Bearer sk_test_sim"}
    )
    push_one(push.pk)
    assert states() == ["accepted"]

    assert reject(push.identifier, "meter_event_customer_not_found") is not None
    assert reject(push.identifier, "meter_event_customer_not_found") is None
    assert (states(), CustomerMap.objects.get().state) == (["rejected"], "deleted")
    map_customer(shop.till.customer, shop.stripe.customer())
    assert release_ready(timezone.now()) == 0  # first its minute has to stay empty for a day
