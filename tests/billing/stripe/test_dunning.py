"""Dunning: what follows while a customer does not pay, in force at the next call, and gone when it has paid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import redis
from rest_framework.test import APIClient

from billing.dunning.policies import set_policy
from billing.dunning.reasons import reasons_of
from billing.dunning.watching import watch_customer, watch_due
from billing.models import CustomerMap, DunningCase, StripeConnection
from billing.prepaid.crediting import sync_top_up
from billing.prepaid.opening import open_prepaid
from billing.prepaid.topping_up import start_top_up
from billing.stripe.catalog import MeterTerms, set_up_meter, subscribe
from billing.stripe.mapping import map_customer
from billing.stripe.objects import Subscription
from enforcement.keys import Scope
from enforcement.policies import CustomerPolicy
from tenants.actions.customers import resume_customer, suspend_customer
from tenants.models import AuditEntry, Budget, Customer
from tenants.publishing import drain_outbox, shared_control
from tests.billing.stripe.conftest import Stripe
from tests.billing.stripe.deliveries import deliver, give_secret, snapshot, work_off
from tests.factories import ACTOR, Holding
from tests.people import browser_of, make_member, text_of


@dataclass
class Debtor:
    """Acme's customer with a subscription, and the stand-in that says how it pays."""

    mapping: CustomerMap
    connection: StripeConnection
    stripe: Stripe
    redis: redis.Redis
    told: int = 0

    def policy(self, **values: Any) -> None:
        set_policy(tenant=self.mapping.tenant, mode="test", actor=ACTOR, values=values)

    def become(self, status: str) -> None:
        """Have the subscription become something, and Stripe tell so."""
        self.stripe.sim("subscription", subscription=self.mapping.subscription_id, status=status)
        self.tell("customer.subscription.updated", self.mapping.subscription_id)

    def tell(self, kind: str, about: str) -> None:
        self.told += 1
        assert deliver(self.connection, snapshot(kind, about, id=f"evt_{self.told}")) == 200
        assert work_off() == ["done"]

    @property
    def customer(self) -> Customer:
        return Customer.objects.get(pk=self.mapping.customer_id)

    @property
    def published(self) -> CustomerPolicy:
        """The customer's policy as a proxy finds it at the next call."""
        drain_outbox()
        body = self.redis.hget(
            Scope(self.customer.tenant_id, "test").customer_policy(self.customer.pk), "body"
        )
        assert isinstance(body, bytes)
        return msgspec.json.decode(body, type=CustomerPolicy)

    @property
    def caps(self) -> list[Budget]:
        return list(Budget.objects.in_force().filter(customer=self.customer, kept_by="dunning"))

    def open_cases(self) -> list[tuple[str, str]]:
        return list(DunningCase.objects.filter(closed_at=None).values_list("source_id", "reason"))


@pytest.fixture
def debtor(
    connection: StripeConnection, acme: Holding, here: Stripe, redis_client: redis.Redis
) -> Iterator[Debtor]:
    shared_control.cache_clear()
    shared_control().ensure_open(Scope(acme.tenant.pk, "test"))
    give_secret(connection)
    buyer = here.customer()
    row = map_customer(
        connection=connection, customer=acme.customer, actor=ACTOR, stripe_customer_id=buyer
    ).row
    meter = set_up_meter(connection=connection, actor=ACTOR, terms=MeterTerms(currency="usd")).row
    yield Debtor(subscribe(mapping=row, meter=meter, actor=ACTOR).row, connection, here, redis_client)
    shared_control.cache_clear()


def test_without_a_policy_nothing_follows(debtor: Debtor) -> None:
    debtor.become("past_due")
    assert debtor.open_cases() == [(debtor.mapping.subscription_id, "past_due")]
    assert (debtor.published.state, debtor.published.rates, debtor.caps) == ("active", (), [])


@pytest.mark.parametrize("status", ["past_due", "unpaid"])
def test_a_suspension_is_in_force_at_the_next_call_and_gone_when_it_was_paid(
    debtor: Debtor, status: str
) -> None:
    debtor.policy(**{status: "suspend"})
    debtor.become(status)
    assert debtor.published.state == "suspended"
    assert debtor.customer.state == "active"
    debtor.become("active")
    assert debtor.published.state == "active"
    assert debtor.open_cases() == []


def test_a_throttle_is_a_limit_beside_the_customers_own(debtor: Debtor) -> None:
    Customer.objects.filter(pk=debtor.customer.pk).update(requests_per_minute=600)
    debtor.policy(past_due="throttle", throttle_requests_per_minute=6)
    debtor.become("past_due")
    assert [(rate.limit_id, rate.requests_per_minute) for rate in debtor.published.rates] == [
        (debtor.customer.pk, 600), (f"{debtor.customer.pk}.restricted", 6),
    ]  # fmt: skip
    debtor.become("active")
    assert [rate.requests_per_minute for rate in debtor.published.rates] == [600]


def test_a_cap_is_a_further_budget_and_leaves_peoples_own_alone(debtor: Debtor, acme: Holding) -> None:
    debtor.policy(past_due="cap", cap_nanousd=2_000_000_000)
    debtor.become("past_due")
    [cap] = debtor.caps
    assert (cap.limit_nanousd, cap.measure) == (2_000_000_000, "charge")
    assert {ref.budget_id for ref in debtor.published.budgets} == {acme.budget.pk, cap.pk}
    debtor.policy(cap_nanousd=1_000_000_000)
    assert debtor.caps[0].limit_nanousd == 1_000_000_000
    debtor.become("active")
    assert debtor.caps == []
    assert [ref.budget_id for ref in debtor.published.budgets] == [acme.budget.pk]
    acme.budget.refresh_from_db()
    assert (acme.budget.limit_nanousd, acme.budget.archived_at) == (50_000_000_000, None)


def test_a_persons_suspension_is_never_lifted_by_a_payment(debtor: Debtor) -> None:
    debtor.policy(past_due="suspend")
    suspend_customer(customer=debtor.customer, actor=ACTOR)
    debtor.become("past_due")
    debtor.become("active")
    assert (debtor.customer.state, debtor.published.state) == ("suspended", "suspended")
    resume_customer(customer=debtor.customer, actor=ACTOR)
    assert debtor.published.state == "active"


def test_a_suspension_for_not_paying_is_never_lifted_by_a_person(debtor: Debtor) -> None:
    debtor.policy(past_due="suspend")
    debtor.become("past_due")
    suspend_customer(customer=debtor.customer, actor=ACTOR)
    resume_customer(customer=debtor.customer, actor=ACTOR)
    assert debtor.published.state == "suspended"
    debtor.become("active")
    assert debtor.published.state == "active"


def test_a_canceled_subscription_counts_until_another_takes_its_place(debtor: Debtor) -> None:
    debtor.policy(canceled="suspend")
    first = debtor.mapping.subscription_id
    debtor.stripe.send("DELETE", f"/v1/subscriptions/{first}")
    debtor.tell("customer.subscription.deleted", first)
    assert debtor.open_cases() == [(first, "canceled")]
    assert debtor.published.state == "suspended"
    price = {"items[0][price]": debtor.connection.meters.get().price_id}
    second = debtor.stripe.post("/v1/subscriptions", customer=debtor.mapping.stripe_customer_id, **price)[
        "id"
    ]
    debtor.tell("customer.subscription.created", second)
    assert (debtor.open_cases(), debtor.published.state) == ([], "active")


def test_case_16_events_out_of_order_end_where_stripe_is(debtor: Debtor) -> None:
    debtor.policy(past_due="suspend", unpaid="suspend")
    for status in ("past_due", "unpaid", "active"):
        debtor.stripe.sim("subscription", subscription=debtor.mapping.subscription_id, status=status)
    for kind in ("customer.subscription.updated",) * 3:
        debtor.tell(kind, debtor.mapping.subscription_id)
        assert (debtor.open_cases(), debtor.published.state) == ([], "active")


def test_a_dispute_counts_until_it_is_won(debtor: Debtor) -> None:
    debtor.policy(disputed="throttle")
    paid = debtor.stripe.post(
        "/v1/payment_intents", amount=500, currency="usd", customer=debtor.mapping.stripe_customer_id, confirm="true"
    )  # fmt: skip
    dispute = debtor.stripe.sim("dispute", payment_intent=paid["id"])["id"]
    debtor.tell("charge.dispute.created", dispute)
    assert debtor.open_cases() == [(dispute, "disputed")]
    assert len(debtor.published.rates) == 1
    debtor.become("active")
    assert debtor.open_cases() == [(dispute, "disputed")]
    debtor.stripe.sim("dispute", dispute=dispute, status="won")
    debtor.tell("charge.dispute.closed", dispute)
    assert (debtor.open_cases(), debtor.published.rates) == ([], ())


def test_a_disputed_top_up_is_its_customers(debtor: Debtor) -> None:
    debtor.policy(disputed="suspend")
    prepaid = open_prepaid(customer=debtor.customer, actor=ACTOR).row
    top_up = start_top_up(
        prepaid=prepaid, actor=ACTOR, amount_nanousd=10**10, return_url="https://a.example/"
    )
    debtor.stripe.sim("checkout", session=top_up.session_id, do="pay")
    paid_by = sync_top_up(top_up).payment_intent_id
    dispute = debtor.stripe.sim("dispute", payment_intent=paid_by)["id"]
    debtor.tell("charge.dispute.created", dispute)
    assert debtor.published.state == "suspended"
    prepaid.budget.refresh_from_db()
    assert prepaid.budget.limit_nanousd == 0


def test_each_change_is_audited_with_its_object_at_stripe(debtor: Debtor) -> None:
    debtor.policy(past_due="suspend")
    debtor.become("past_due")
    debtor.become("active")
    rows = AuditEntry.objects.filter(actor_name="Stripe").order_by("pk")
    assert {row.actor_id for row in rows} == {debtor.mapping.subscription_id}
    assert [row.action for row in rows] == [
        "dunning_case.open", "customer.restrict", "dunning_case.close", "customer.restrict",
    ]  # fmt: skip


def test_what_was_told_twice_changes_nothing_the_second_time(debtor: Debtor) -> None:
    debtor.policy(past_due="cap")
    debtor.become("past_due")
    before = (AuditEntry.objects.count(), debtor.customer.version)
    debtor.tell("invoice.payment_failed", debtor.stripe.get("/v1/invoices")["data"][0]["id"])
    assert watch_customer(debtor.mapping) is False
    assert (AuditEntry.objects.count(), debtor.customer.version) == before


def test_nobody_stays_suspended_because_an_event_was_lost(debtor: Debtor) -> None:
    debtor.policy(past_due="suspend")
    debtor.become("past_due")
    debtor.stripe.sim("subscription", subscription=debtor.mapping.subscription_id, status="active")
    assert watch_due() == 1
    assert debtor.published.state == "active"


def test_a_policy_is_in_force_at_once_for_those_who_do_not_pay_now(debtor: Debtor) -> None:
    debtor.become("past_due")
    debtor.policy(past_due="suspend")
    assert debtor.published.state == "suspended"
    debtor.policy(past_due="nothing")
    assert debtor.published.state == "active"


def test_whoever_was_unmapped_owes_nothing_here(debtor: Debtor) -> None:
    debtor.policy(past_due="suspend")
    debtor.become("past_due")
    CustomerMap.objects.update(state="unmapped", stripe_customer_id="", subscription_id="")
    assert watch_due() == 1
    assert debtor.published.state == "active"


def test_subscriptions_to_something_else_are_none_of_our_business() -> None:
    other = Subscription("sub_1", "cus_1", "past_due", "usd", ())
    assert reasons_of([other], {"price_ours"}, "") == {}
    assert reasons_of([other], {"price_ours"}, "sub_1") == {"sub_1": "past_due"}


def test_the_policy_by_api_and_in_the_portal(debtor: Debtor, acme: Holding) -> None:
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    path = "/api/v1/billing/dunning"
    assert api.get(path).json()["past_due"] == "nothing"
    told = api.patch(path, {"past_due": "suspend", "cap_usd": "3.00"}, format="json").json()
    assert (told["past_due"], told["cap_usd"], told["unpaid"]) == ("suspend", "3.00", "nothing")
    assert api.patch(path, {"past_due": "shout"}, format="json").status_code == 400
    debtor.become("past_due")
    [case] = api.get(f"{path}/cases").json()["data"]
    assert (case["customer"], case["reason"]) == (acme.customer.pk, "past_due")
    assert api.get(f"/api/v1/customers/{acme.customer.pk}").json()["restriction"] == {
        "suspended": True, "requests_per_minute": 0, "why": "a payment is past due",
    }  # fmt: skip
    browser = browser_of(make_member(acme.tenant))
    assert debtor.mapping.subscription_id in text_of(browser.get("dunning"))
    assert "suspended: a payment is past due" in text_of(
        browser.get("customer", customer_id=acme.customer.pk)
    )
    form = {
        "past_due": "nothing", "unpaid": "cap", "canceled": "nothing", "disputed": "throttle",
        "throttle_requests_per_minute": "5", "cap_usd": "1.00",
    }  # fmt: skip
    assert browser.post("dunning", form).status_code == 302
    assert debtor.published.state == "active"
    assert browser.post("dunning", form | {"cap_usd": "much"}).status_code == 422
    assert browser_of(make_member(acme.tenant, role="viewer")).post("dunning", form).status_code == 403
