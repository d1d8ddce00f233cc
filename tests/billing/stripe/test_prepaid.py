"""Prepaid credit: it grows when a payment has arrived, once; what is taken back goes; and nobody else sets it."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, transaction

from billing.errors import NotConnected, StripeFailed
from billing.incoming.inbox import Busy
from billing.models import PrepaidBudget, PrepaidEntry, StripeConnection, TopUp
from billing.prepaid.crediting import sync_living, sync_top_up
from billing.prepaid.opening import close_prepaid, open_prepaid
from billing.prepaid.topping_up import PAGES_AN_HOUR_MAX, start_top_up
from billing.stripe import payments
from billing.stripe.connecting import connect
from billing.stripe.gateway import Gateway
from billing.stripe.keys import gateway_of
from billing.stripe.mapping import map_customer
from tenants.actions.budgets import archive_budget, change_limit
from tenants.errors import AlreadyExists, InvalidInput, WrongState
from tenants.models import AuditEntry
from tests.billing.stripe.deliveries import deliver, give_secret, snapshot, work_off
from tests.billing.stripe.wallet import Wallet, wallet
from tests.factories import ACTOR, Holding

__all__ = ["wallet"]


def test_who_pays_first_has_nothing_until_it_has_paid(wallet: Wallet, acme: Holding) -> None:
    budget = wallet.prepaid.budget
    assert (budget.limit_nanousd, budget.window_kind, budget.measure, budget.customer) == (
        0, "total", "charge", acme.customer,
    )  # fmt: skip
    with pytest.raises(AlreadyExists):
        open_prepaid(customer=acme.customer, actor=ACTOR)


def test_the_limit_rises_when_the_payment_has_arrived_and_not_before(wallet: Wallet) -> None:
    top_up = wallet.start("10.00")
    assert top_up.url.startswith("https://checkout.stripe.com/")
    assert sync_top_up(top_up).status == "open"
    assert wallet.limit == "0.00"
    wallet.pay(top_up)
    assert sync_top_up(top_up).status == "paid"
    assert (wallet.limit, wallet.entries) == ("10.00", [("payment", "10.00")])


def test_a_payment_is_credited_once_however_often_it_is_told(wallet: Wallet) -> None:
    give_secret(wallet.connection)
    top_up = wallet.start()
    wallet.pay(top_up)
    for number in range(3):
        deliver(
            wallet.connection, snapshot("checkout.session.completed", top_up.session_id, id=f"evt_{number}")
        )
        work_off()
    sync_living()
    assert (wallet.limit, len(wallet.entries)) == ("10.00", 1)


def test_two_workers_on_one_payment_do_not_read_side_by_side(wallet: Wallet) -> None:
    top_up = wallet.start()
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"top-up:{top_up.pk}"])
        with pytest.raises(Busy):
            sync_top_up(top_up)
        other.execute("SELECT pg_advisory_unlock_all()")
    assert sync_top_up(top_up).status == "open"


def test_money_that_comes_days_later_counts_when_it_comes(wallet: Wallet) -> None:
    give_secret(wallet.connection)
    top_up = wallet.start()
    wallet.pay(top_up, "pay_later")
    deliver(wallet.connection, snapshot("checkout.session.completed", top_up.session_id))
    assert work_off() == ["done"]
    top_up.refresh_from_db()
    assert (top_up.status, wallet.limit) == ("processing", "0.00")
    wallet.pay(top_up, "arrive")
    deliver(
        wallet.connection, snapshot("checkout.session.async_payment_succeeded", top_up.session_id, id="evt_9")
    )
    assert work_off() == ["done"]
    assert wallet.limit == "10.00"


def test_money_that_bounces_brings_nothing(wallet: Wallet) -> None:
    top_up = wallet.start()
    wallet.pay(top_up, "pay_later")
    wallet.pay(top_up, "arrive", payment_method="pm_card_chargeDeclined")
    assert sync_top_up(top_up).status == "failed"
    assert (wallet.limit, wallet.entries) == ("0.00", [])


def test_a_declined_card_and_a_page_that_expired_bring_nothing(wallet: Wallet) -> None:
    declined, expired = wallet.start(), wallet.start()
    wallet.pay(declined, payment_method="pm_card_chargeDeclined")
    wallet.pay(expired, "expire")
    assert [sync_top_up(row).status for row in (declined, expired)] == ["open", "expired"]
    assert wallet.limit == "0.00"


def test_an_event_that_claims_a_payment_brings_nothing(wallet: Wallet) -> None:
    give_secret(wallet.connection)
    top_up = wallet.start()
    lie = snapshot("checkout.session.completed", top_up.session_id)
    lie["data"]["object"] |= {"payment_status": "paid", "status": "complete", "amount_total": 99_999}
    deliver(wallet.connection, lie)
    assert work_off() == ["done"]
    assert wallet.limit == "0.00"


def test_refunds_take_back_part_and_all_and_give_again_when_they_fail(wallet: Wallet) -> None:
    top_up = wallet.buy("10.00")
    first = wallet.refund(top_up, 250)
    sync_top_up(top_up)
    assert wallet.limit == "7.50"
    wallet.refund(top_up, 750)
    sync_top_up(top_up)
    assert wallet.limit == "0.00"
    wallet.stripe.sim("refund", refund=first, status="failed")
    sync_top_up(top_up)
    sync_top_up(top_up)
    assert wallet.limit == "2.50"
    assert wallet.entries == [
        ("payment", "10.00"), ("refund", "-2.50"), ("refund", "-7.50"), ("refund", "2.50"),
    ]  # fmt: skip


@pytest.mark.parametrize(("ends", "left"), [("won", "10.00"), ("lost", "0.00"), ("warning_closed", "10.00")])
def test_a_dispute_takes_back_until_it_is_won(wallet: Wallet, ends: str, left: str) -> None:
    top_up = wallet.buy("10.00")
    dispute = wallet.stripe.sim("dispute", payment_intent=top_up.payment_intent_id)["id"]
    sync_top_up(top_up)
    assert wallet.limit == "0.00"
    wallet.stripe.sim("dispute", dispute=dispute, status=ends)
    sync_top_up(top_up)
    assert wallet.limit == left


def test_a_payment_never_takes_more_than_it_brought(wallet: Wallet) -> None:
    wallet.buy("5.00")
    top_up = wallet.buy("10.00")
    wallet.refund(top_up, 400)
    wallet.stripe.sim("dispute", payment_intent=top_up.payment_intent_id)
    sync_top_up(top_up)
    assert wallet.limit == "5.00"


def test_case_16_the_order_of_events_makes_no_difference(wallet: Wallet) -> None:
    give_secret(wallet.connection)
    top_up = wallet.start("10.00")
    wallet.pay(top_up)
    paid_by = wallet.stripe.get(f"/v1/checkout/sessions/{top_up.session_id}")["payment_intent"]
    refund = wallet.stripe.post("/v1/refunds", payment_intent=paid_by, amount=300)
    dispute = wallet.stripe.sim("dispute", payment_intent=paid_by)["id"]
    wallet.stripe.sim("dispute", dispute=dispute, status="won")
    told = [
        ("charge.dispute.closed", dispute), ("charge.dispute.created", dispute), ("charge.refunded", refund["charge"]),
        ("refund.updated", refund["id"]), ("checkout.session.completed", top_up.session_id),
    ]  # fmt: skip
    random.Random(16).shuffle(told)
    for number, (kind, about) in enumerate(told):
        deliver(wallet.connection, snapshot(kind, about, id=f"evt_{number}"))
        assert work_off() == ["done"]
        assert wallet.limit == "7.00"


def test_a_refund_told_before_its_payment_finds_whose_it_is(wallet: Wallet) -> None:
    give_secret(wallet.connection)
    top_up = wallet.start("10.00")
    wallet.pay(top_up)
    paid_by = wallet.stripe.get(f"/v1/checkout/sessions/{top_up.session_id}")["payment_intent"]
    refund = wallet.stripe.post("/v1/refunds", payment_intent=paid_by, amount=1000)["id"]
    deliver(wallet.connection, snapshot("refund.updated", refund))
    assert work_off() == ["done"]
    assert (wallet.limit, len(wallet.entries)) == ("0.00", 2)


def test_each_change_is_audited_with_its_object_at_stripe(wallet: Wallet) -> None:
    top_up = wallet.buy()
    refund = wallet.refund(top_up, 100)
    sync_top_up(top_up)
    rows = AuditEntry.objects.filter(action="budget.change_limit").order_by("pk")
    assert [(row.actor_id, row.actor_name) for row in rows] == [
        (top_up.payment_intent_id, "Stripe"), (refund, "Stripe"),
    ]  # fmt: skip


def test_entries_are_never_changed_nor_deleted(wallet: Wallet) -> None:
    wallet.buy()
    for act in (lambda: PrepaidEntry.objects.update(amount_nanousd=1), PrepaidEntry.objects.all().delete):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            act()


def test_nobody_sets_or_archives_the_budget_by_hand(wallet: Wallet) -> None:
    budget = wallet.prepaid.budget
    with pytest.raises(WrongState, match="set by prepaid"):
        change_limit(budget=budget, actor=ACTOR, limit_nanousd=1)
    with pytest.raises(WrongState, match="set by prepaid"):
        archive_budget(budget=budget, actor=ACTOR)


@pytest.mark.parametrize("amount", ["0.99", "10000.01", "1.005", "0"])
def test_amounts_are_whole_cents_within_bounds(wallet: Wallet, amount: str) -> None:
    with pytest.raises(InvalidInput, match="US dollars"):
        wallet.start(amount)
    assert not TopUp.objects.exists()


def test_a_payment_in_another_currency_is_not_credited(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = wallet.start()
    wallet.pay(top_up)
    real = payments.payment

    def in_euros(gateway: Gateway, name: str) -> Any:
        return replace(real(gateway, name), currency="eur")

    monkeypatch.setattr(payments, "payment", in_euros)
    sync_top_up(top_up)
    assert wallet.limit == "0.00"


def test_no_credit_is_sold_that_could_not_be_taken_back(wallet: Wallet) -> None:
    wallet.connection.scopes_missing = ["rak_dispute_read"]
    wallet.connection.save(update_fields=["scopes_missing"])
    with pytest.raises(WrongState, match="Disputes: Read"):
        wallet.start()


def test_nothing_is_sold_without_a_connection_and_nothing_after_paying_first_ended(wallet: Wallet) -> None:
    StripeConnection.objects.update(status="broken")
    with pytest.raises(NotConnected):
        wallet.start()
    StripeConnection.objects.update(status="ok")
    paid_late = wallet.start()
    close_prepaid(prepaid=wallet.prepaid, actor=ACTOR)
    prepaid = PrepaidBudget.objects.select_related("budget", "tenant", "customer").get()
    with pytest.raises(WrongState, match="not pay first any more"):
        start_top_up(prepaid=prepaid, actor=ACTOR, amount_nanousd=10**10, return_url="https://a.example/")
    wallet.pay(paid_late)
    sync_top_up(paid_late)
    assert (wallet.entries, wallet.limit) == ([("payment", "10.00")], "0.00")


def test_a_link_opens_no_more_pages_than_a_person_would(wallet: Wallet) -> None:
    for _ in range(PAGES_AN_HOUR_MAX):
        TopUp.objects.create(
            tenant=wallet.prepaid.tenant, mode="test", prepaid=wallet.prepaid, connection=wallet.connection,
            amount_minor=100,
        )  # fmt: skip
    with pytest.raises(WrongState, match="within the hour"):
        wallet.start()


def test_a_page_that_stripe_did_not_open_is_a_failed_one(wallet: Wallet) -> None:
    wallet.stripe.fault("error_500", path="/v1/checkout/sessions")
    with pytest.raises(StripeFailed):
        wallet.start()
    assert TopUp.objects.get().status == "failed"


def test_who_is_known_at_stripe_pays_as_that_customer(wallet: Wallet, acme: Holding) -> None:
    buyer = wallet.stripe.customer()
    map_customer(connection=wallet.connection, customer=acme.customer, actor=ACTOR, stripe_customer_id=buyer)
    top_up = wallet.buy()
    assert payments.checkout(gateway_of(wallet.connection), top_up.session_id).customer_id == buyer


def test_another_tenants_event_credits_nothing(wallet: Wallet, globex: Holding) -> None:
    theirs = connect(tenant=globex.tenant, mode="test", actor=ACTOR, api_key="rk_test_sim").row
    give_secret(theirs, secret="whsec_globex")
    top_up = wallet.start()
    wallet.pay(top_up)
    deliver(theirs, snapshot("checkout.session.completed", top_up.session_id), "whsec_globex")
    assert work_off() == ["ignored"]
    assert wallet.limit == "0.00"
