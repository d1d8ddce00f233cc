"""Usage that Stripe takes in and refuses later: taken back, held, and written anew once it is proven absent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.incoming.polling import poll_all
from billing.incoming.reports import look_at_spans
from billing.models import CustomerMap, Push, ReportedSpan, StripeConnection
from billing.prepaid.opening import close_prepaid, open_prepaid
from billing.pushing.confirming import ABSENT_FOR
from billing.pushing.sealing import seal_all
from tests.billing.pushing.conftest import shop, till
from tests.billing.pushing.shop import Shop
from tests.billing.stripe.deliveries import work_off
from tests.factories import ACTOR

__all__ = ["shop", "till"]

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def lose_customer(shop: Shop) -> None:
    """Have the customer deleted at Stripe without our hearing of it."""
    shop.stripe.send("DELETE", f"/v1/customers/{shop.buyer}")


def hear(shop: Shop) -> None:
    """Let Stripe validate what it took, ask for its reports, and handle them."""
    shop.stripe.advance(1)
    poll_all()
    work_off()


def look_for_a_day() -> None:
    """Look at what is open now and a day later: absence counts once it lasted."""
    now = timezone.now()
    look_at_spans(now)
    since = now - ABSENT_FOR - timedelta(minutes=1)
    Push.objects.exclude(absent_since=None).update(absent_since=since)
    look_at_spans(now)


def standing() -> list[tuple[str, int]]:
    return list(Push.objects.order_by("created_at", "pk").values_list("state", "value_units"))


def test_case_9_usage_of_a_deleted_customer_is_taken_back_held_and_billed_once_to_the_next(
    shop: Shop,
) -> None:
    shop.sealed(7)
    lose_customer(shop)
    shop.send_due()
    assert standing() == [("accepted", 7)]
    hear(shop)
    push = Push.objects.get()
    assert (push.state, push.why) == ("rejected", "customer_deleted")
    mapping = CustomerMap.objects.get()
    assert mapping.state == "deleted"
    # Nobody to bill: it waits, also once it is proven absent.
    look_for_a_day()
    assert standing() == [("rejected", 7)]
    successor = shop.stripe.customer()
    CustomerMap.objects.update(state="mapped", stripe_customer_id=successor)
    look_for_a_day()
    assert standing() == [("void", 7), ("pending", 7)]
    assert Push.objects.get(state="pending").identifier != push.identifier
    shop.send_due()
    hear(shop)
    assert (shop.counted(), shop.counted(successor)) == (0, 7)


def test_case_9_a_report_handled_twice_takes_back_once(shop: Shop) -> None:
    shop.sealed(7)
    lose_customer(shop)
    shop.send_due()
    hear(shop)
    StripeConnection.objects.update(thin_polled_at=None)
    hear(shop)
    assert (standing(), ReportedSpan.objects.count()) == ([("rejected", 7)], 1)


def test_case_10_what_a_report_does_not_name_is_found_by_its_sum(shop: Shop) -> None:
    shop.stripe.sim("knobs", error_samples_max=1)
    shop.sealed(3, 4, 5)
    lose_customer(shop)
    shop.stripe.sim("knobs", validation_delay_s=5.0)
    shop.send_due()
    shop.stripe.advance(10)
    hear(shop)
    span = ReportedSpan.objects.get()
    assert (span.error_count, span.sampled_count, span.settled_at) == (3, 1, None)
    assert sorted(state for state, _ in standing()) == ["accepted", "accepted", "rejected"]
    look_for_a_day()
    assert {state for state, _ in standing()} == {"rejected"}
    look_at_spans(timezone.now())
    span.refresh_from_db()
    assert span.settled_at is not None


def test_case_10_what_was_counted_after_all_is_confirmed_and_stays(shop: Shop) -> None:
    shop.sealed(3)
    shop.send_due()
    push = Push.objects.get()
    ReportedSpan.objects.create(
        tenant=push.tenant, mode=push.mode, connection=shop.connection, event_id="evt_x", error_count=9,
        sampled_count=0, starts_at=timezone.now() - timedelta(minutes=1), ends_at=timezone.now(),
    )  # fmt: skip
    shop.stripe.advance(1)
    look_for_a_day()
    assert standing() == [("confirmed", 3)]
    assert ReportedSpan.objects.exclude(settled_at=None).exists()


def test_a_report_about_an_archived_meter_breaks_it(shop: Shop) -> None:
    shop.stripe.fault("async_reject", code="archived_meter")
    shop.sealed(3)
    shop.send_due()
    hear(shop)
    shop.meter.refresh_from_db()
    assert (standing(), shop.meter.status) == ([("rejected", 3)], "broken")


def test_a_report_never_touches_another_connections_push(shop: Shop) -> None:
    from billing.incoming.reports import Sample, _take_back

    shop.sealed(3)
    shop.send_due()
    other = StripeConnection(pk="sco_other", tenant=shop.connection.tenant, mode="live")
    _take_back(other, Sample(Push.objects.get().identifier, "meter_event_customer_not_found"))
    assert standing() == [("accepted", 3)]


def test_usage_that_was_paid_for_first_is_not_invoiced(shop: Shop) -> None:
    open_prepaid(customer=shop.till.customer, actor=ACTOR)
    from billing.models import PrepaidBudget

    PrepaidBudget.objects.update(created_at=timezone.now() - timedelta(hours=6))
    shop.sealed(5)
    assert standing() == [("void", 5)]
    assert Push.objects.get().why == "prepaid"
    shop.send_due()
    assert shop.counted() == 0
    close_prepaid(prepaid=PrepaidBudget.objects.select_related("tenant").get(), actor=ACTOR)
    seal_all(timezone.now())
    assert standing() == [("void", 5)]
