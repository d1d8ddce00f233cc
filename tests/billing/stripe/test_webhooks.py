"""Deliveries from Stripe: who is let in, what is kept, and that an event is only a hint to look again."""

from __future__ import annotations

import json
import logging
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.incoming.figures import event_figures
from billing.incoming.handlers import HANDLERS
from billing.incoming.inbox import handle_one
from billing.incoming.polling import poll_all
from billing.incoming.receiving import BODY_BYTES_MAX
from billing.models import CustomerMap, StripeConnection, StripeEvent
from billing.stripe.catalog import MeterTerms, set_up_meter, subscribe
from billing.stripe.connecting import connect, mark_broken
from billing.stripe.hooks import SNAPSHOT_KINDS, THIN, THIN_KINDS
from billing.stripe.mapping import map_customer
from billing.stripe.outcomes import Outcome, Verdict
from tests.billing.stripe.conftest import Stripe
from tests.billing.stripe.deliveries import (
    deliver,
    give_secret,
    refused,
    send_raw,
    sign,
    snapshot,
    taken,
    thin,
    work_off,
)
from tests.factories import ACTOR, Holding

ONE = [("evt_1", "")]


@pytest.fixture
def hooked(connection: StripeConnection) -> StripeConnection:
    """Acme's connection with a secret for snapshots."""
    give_secret(connection)
    return connection


def test_an_event_is_taken_in_once_and_of_it_only_what_it_is_about(hooked: StripeConnection) -> None:
    assert deliver(hooked, snapshot(secret_of_somebody="never kept")) == 200
    row = StripeEvent.objects.get()
    assert (row.connection_id, row.tenant_id, row.mode) == (hooked.pk, hooked.tenant_id, "test")
    assert (row.kind, row.object_id, row.via, row.shape) == (
        "customer.updated",
        "cus_1",
        "webhook",
        "snapshot",
    )
    assert "never kept" not in str(list(StripeEvent.objects.values()))


def test_case_15_a_replayed_event_does_nothing(hooked: StripeConnection) -> None:
    assert [deliver(hooked, snapshot()) for _ in range(3)] == [200, 200, 200]
    assert taken() == ONE
    assert work_off() == ["ignored"]
    handled_at = StripeEvent.objects.get().handled_at
    assert deliver(hooked, snapshot()) == 200
    assert work_off() == []
    assert StripeEvent.objects.get().handled_at == handled_at


def test_case_15_a_forged_signature_is_refused(hooked: StripeConnection) -> None:
    raw = json.dumps(snapshot()).encode()
    good = sign(raw, "whsec_one")
    for signature in (
        sign(raw, "whsec_forged"),
        sign(raw, ""),
        "",
        "t=,v1=",
        good.replace("v1=", "v0="),
        "nonsense",
    ):
        assert send_raw(hooked.endpoint_public_id, raw, signature) == 400
    assert send_raw(hooked.endpoint_public_id, raw + b" ", good) == 400
    assert (taken(), refused()) == ([], {"signature": 7})


@pytest.mark.parametrize(("offset_s", "status"), [(-290, 200), (-310, 400), (290, 200), (310, 400)])
def test_case_15_an_old_or_future_timestamp_is_refused(
    hooked: StripeConnection, offset_s: int, status: int
) -> None:
    assert deliver(hooked, snapshot(), at_s=time.time() + offset_s) == status
    assert len(taken()) == (status == 200)


def test_case_15_a_wrong_secret_is_refused(hooked: StripeConnection) -> None:
    assert deliver(hooked, snapshot(), "whsec_two") == 400
    assert (taken(), refused()) == ([], {"signature": 1})


def test_case_15_while_a_secret_is_changed_both_are_good_and_later_only_the_new(
    hooked: StripeConnection,
) -> None:
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    hooked.webhook_secrets[0]["until"] = later
    give_secret(hooked, secret="whsec_two")
    assert deliver(hooked, snapshot(id="evt_old"), "whsec_one") == 200
    assert deliver(hooked, snapshot(id="evt_new"), "whsec_two") == 200
    hooked.webhook_secrets[1]["until"] = (timezone.now() - timedelta(seconds=1)).isoformat()
    hooked.save(update_fields=["webhook_secrets"])
    assert deliver(hooked, snapshot(id="evt_late"), "whsec_one") == 400
    assert [event for event, _ in taken()] == ["evt_old", "evt_new"]


def test_case_15_a_body_over_the_limit_is_refused(hooked: StripeConnection) -> None:
    event = snapshot(padding="")
    room = BODY_BYTES_MAX - len(json.dumps(event).encode())
    assert deliver(hooked, event | {"padding": "x" * room}) == 200
    assert deliver(hooked, event | {"padding": "x" * (room + 1), "id": "evt_big"}) == 413
    assert (taken(), refused()) == (ONE, {"too_large": 1})


def test_case_15_a_thin_event_under_a_snapshots_secret_is_refused_and_the_other_way_round(
    hooked: StripeConnection,
) -> None:
    give_secret(hooked, THIN, "whsec_thin")
    assert deliver(hooked, thin(), "whsec_one") == 400
    assert deliver(hooked, snapshot(), "whsec_thin") == 400
    assert (taken(), refused()) == ([], {"shape": 2})
    assert deliver(hooked, thin(), "whsec_thin") == 200
    assert taken() == [("evt_2", "")]


@pytest.mark.parametrize("livemode", [True, None, "false", 0])
def test_case_15_an_event_of_the_other_mode_is_refused(hooked: StripeConnection, livemode: object) -> None:
    assert deliver(hooked, snapshot(livemode=livemode)) == 400
    assert (taken(), refused()) == ([], {"livemode": 1})


def test_case_15_an_event_of_another_account_is_refused(hooked: StripeConnection) -> None:
    assert hooked.stripe_account == "acct_sim"
    assert deliver(hooked, snapshot(account="acct_other")) == 400
    assert deliver(hooked, snapshot(account="acct_sim")) == 200
    hooked.kind = StripeConnection.Kind.CONNECT
    hooked.save(update_fields=["kind"])
    assert deliver(hooked, snapshot(id="evt_3")) == 400
    assert refused() == {"account": 2}


def test_case_15_another_tenants_event_is_refused_at_this_address(
    hooked: StripeConnection, globex: Holding
) -> None:
    theirs = connect(tenant=globex.tenant, mode="test", actor=ACTOR, api_key="rk_test_sim").row
    give_secret(theirs, secret="whsec_globex")
    assert deliver(hooked, snapshot(), "whsec_globex") == 400
    assert deliver(theirs, snapshot(), "whsec_globex") == 200
    assert StripeEvent.objects.get().tenant == globex.tenant


def test_case_23_the_same_event_id_at_test_and_live_is_two_events_that_never_cross(
    hooked: StripeConnection, acme: Holding
) -> None:
    live = connect(tenant=acme.tenant, mode="live", actor=ACTOR, api_key="rk_live_sim").row
    give_secret(live, secret="whsec_live")
    assert deliver(hooked, snapshot(livemode=True), "whsec_live") == 400
    assert deliver(live, snapshot(livemode=False), "whsec_live") == 400
    assert deliver(live, snapshot(livemode=True), "whsec_live") == 200
    assert deliver(hooked, snapshot()) == 200
    assert sorted(StripeEvent.objects.values_list("mode", "event_id")) == [
        ("live", "evt_1"),
        ("test", "evt_1"),
    ]


def test_an_unknown_address_and_one_without_a_secret_are_answered_alike(connection: StripeConnection) -> None:
    raw = json.dumps(snapshot()).encode()
    for public_id in ("nobody", connection.endpoint_public_id):
        assert send_raw(public_id, raw, sign(raw, "")) == 404
        assert send_raw(public_id, raw, sign(raw, "whsec_one")) == 404
    assert (taken(), refused()) == ([], {"unknown": 4})


def test_both_are_answered_after_the_same_work(
    connection: StripeConnection, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: object
) -> None:
    from billing.incoming import receiving

    tried: list[str] = []
    real = receiving.verified_event
    monkeypatch.setattr(
        receiving,
        "verified_event",
        lambda raw, header, secret: tried.append(secret) or real(raw, header, secret),
    )
    for public_id in ("nobody", connection.endpoint_public_id):
        with django_assert_num_queries(2):  # type: ignore[operator]  # pytest-django's, untyped
            receiving.receive(public_id, b"{}", sign(b"{}", "whsec_one"))
    assert len(tried) == 2
    assert len(set(tried)) == 1


@pytest.mark.parametrize(
    "event",
    [
        snapshot(id=""), snapshot(id=7), snapshot(id="a b"), snapshot(id="\x00"), snapshot(type="X"),
        snapshot(about="x y"),
        {"object": "list", "livemode": False}, snapshot(id="e" * 300),
    ],
    ids=["no id", "number", "space", "null", "kind", "object", "list", "long"],
)  # fmt: skip
def test_what_is_no_event_is_refused_however_well_signed(
    hooked: StripeConnection, event: dict[str, object]
) -> None:
    assert deliver(hooked, event) == 400
    assert (taken(), refused()) == ([], {"shape": 1})


def test_only_posts_are_taken(hooked: StripeConnection, client: object) -> None:
    address = f"/hooks/stripe/{hooked.endpoint_public_id}/"
    assert [getattr(client, verb)(address).status_code for verb in ("get", "put", "delete")] == [
        405,
        405,
        405,
    ]


def test_no_body_is_ever_logged(hooked: StripeConnection, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        deliver(hooked, snapshot(note="somebody's secret"), "whsec_wrong")
        deliver(hooked, snapshot(note="somebody's secret"))
        work_off()
    assert "somebody's secret" not in caplog.text


def test_refusals_and_what_waits_are_figures(hooked: StripeConnection) -> None:
    deliver(hooked, snapshot())
    deliver(hooked, snapshot(), "whsec_wrong")
    figures = event_figures()
    assert figures["farebox_stripe_events_waiting"] == 1
    assert figures['farebox_stripe_hooks_refused{reason="signature"}'] == 1
    assert figures['farebox_stripe_hooks_refused{reason="unknown"}'] == 0


def test_every_kind_that_is_registered_for_has_its_handler() -> None:
    assert set(HANDLERS) == {*SNAPSHOT_KINDS, *THIN_KINDS}


# What follows: always what Stripe says when it is asked again


@pytest.fixture
def mapped(hooked: StripeConnection, acme: Holding, here: Stripe) -> CustomerMap:
    """Acme's customer, known at Stripe and on its price."""
    buyer = here.customer()
    row = map_customer(connection=hooked, customer=acme.customer, actor=ACTOR, stripe_customer_id=buyer).row
    meter = set_up_meter(connection=hooked, actor=ACTOR, terms=MeterTerms(currency="usd")).row
    return subscribe(mapping=row, meter=meter, actor=ACTOR).row


def test_case_16_a_customer_deleted_before_it_was_updated_stays_deleted(
    hooked: StripeConnection, mapped: CustomerMap, here: Stripe
) -> None:
    here.send("DELETE", f"/v1/customers/{mapped.stripe_customer_id}")
    for number, kind in enumerate(("customer.deleted", "customer.updated", "customer.created")):
        assert deliver(hooked, snapshot(kind, mapped.stripe_customer_id, id=f"evt_{number}")) == 200
        assert work_off() == ["done"]
        mapped.refresh_from_db()
        assert mapped.state == "deleted"


def test_case_16_an_invoice_finalized_before_it_was_created_ends_the_same(
    hooked: StripeConnection, mapped: CustomerMap, here: Stripe
) -> None:
    here.advance(32 * 86400)
    invoice = here.get("/v1/invoices", customer=mapped.stripe_customer_id)["data"][0]["id"]
    CustomerMap.objects.filter(pk=mapped.pk).update(period_end=None)
    found = []
    for number, kind in enumerate(("invoice.finalized", "invoice.created")):
        deliver(hooked, snapshot(kind, invoice, id=f"evt_{number}"))
        assert work_off() == ["done"]
        mapped.refresh_from_db()
        found.append((mapped.state, mapped.period_end))
    assert found[0] == found[1]
    assert found[0][1] is not None


def test_what_an_event_says_of_its_object_is_never_believed(
    hooked: StripeConnection, mapped: CustomerMap
) -> None:
    lie = snapshot("customer.subscription.deleted", mapped.subscription_id)
    lie["data"]["object"] |= {"status": "canceled", "customer": mapped.stripe_customer_id}
    deliver(hooked, lie)
    assert work_off() == ["done"]
    mapped.refresh_from_db()
    assert (mapped.state, mapped.subscription_status) == ("mapped", "active")


def test_a_thin_event_about_a_subscription_does_what_the_snapshot_does(
    hooked: StripeConnection, mapped: CustomerMap, here: Stripe
) -> None:
    give_secret(hooked, THIN, "whsec_thin")
    here.send("DELETE", f"/v1/subscriptions/{mapped.subscription_id}")
    event = thin("v1.customer.subscription.deleted", related_object={"id": mapped.subscription_id})
    assert deliver(hooked, event, "whsec_thin") == 200
    assert work_off() == ["done"]
    mapped.refresh_from_db()
    assert (mapped.state, mapped.subscription_status) == ("no_subscription", "canceled")


def test_what_it_is_about_may_be_gone(hooked: StripeConnection) -> None:
    deliver(hooked, snapshot("customer.subscription.updated", "sub_gone"))
    assert work_off() == ["ignored"]


def test_an_event_waits_while_stripe_does_not_answer_and_while_the_key_is_refused(
    hooked: StripeConnection, mapped: CustomerMap, here: Stripe
) -> None:
    deliver(hooked, snapshot(about=mapped.stripe_customer_id))
    here.fault("error_500", path="/v1/customers")
    assert work_off() == ["later"]
    assert work_off() == []
    StripeEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    mark_broken(hooked, Outcome(Verdict.AUTH, code="api_key_expired"))
    assert work_off() == []
    StripeConnection.objects.update(status="ok")
    assert work_off() == ["done"]


def test_an_event_is_handled_by_one_worker_and_left_to_the_next_by_one_that_died(
    hooked: StripeConnection,
) -> None:
    deliver(hooked, snapshot())
    pk = StripeEvent.objects.get().pk

    def die(event: StripeEvent) -> bool:
        assert handle_one(pk, handle=lambda _: True) == "not_due"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        handle_one(pk, handle=die)
    assert handle_one(pk, handle=lambda _: True) == "not_due"
    StripeEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert handle_one(pk, handle=lambda _: True) == "done"
    assert taken() == [("evt_1", "done")]


def test_an_event_that_never_works_is_given_up_and_counted(hooked: StripeConnection) -> None:
    deliver(hooked, snapshot())
    StripeEvent.objects.update(attempts=60)
    assert work_off() == ["failed"]
    assert event_figures()["farebox_stripe_events_failed"] == 1


# Where Stripe cannot reach us


def test_without_a_webhook_events_are_asked_for_and_taken_in_once(
    connection: StripeConnection, acme: Holding, here: Stripe
) -> None:
    here.sim("clock", now=time.time(), frozen=True)
    buyer = here.customer()
    map_customer(connection=connection, customer=acme.customer, actor=ACTOR, stripe_customer_id=buyer)
    here.send("DELETE", f"/v1/customers/{buyer}")
    assert poll_all() == 2
    assert poll_all() == 0
    assert set(work_off()) == {"done"}
    assert CustomerMap.objects.get().state == "deleted"
    assert set(StripeEvent.objects.values_list("via", flat=True)) == {"poll"}


def test_with_a_webhook_reports_about_usage_are_still_asked_for(
    hooked: StripeConnection, here: Stripe
) -> None:
    here.sim("clock", now=time.time(), frozen=True)
    here.meter()
    here.event_v2("cus_gone", 5, timestamp=timezone.now().isoformat(timespec="seconds"))
    here.advance(1)
    here.customer()
    assert poll_all() == 1
    assert StripeEvent.objects.get().kind == "v1.billing.meter.error_report_triggered"


def test_an_event_that_was_polled_and_delivered_is_one(hooked: StripeConnection, here: Stripe) -> None:
    here.sim("clock", now=time.time(), frozen=True)
    hooked.webhook_endpoint_id = ""
    hooked.save(update_fields=["webhook_endpoint_id"])
    here.customer()
    assert poll_all() == 1
    assert deliver(hooked, snapshot("customer.created", id=StripeEvent.objects.get().event_id)) == 200
    assert StripeEvent.objects.count() == 1
