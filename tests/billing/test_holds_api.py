"""Holds over HTTP: granted by the proxy's own judgement, ended once, expired at the quote, taken away by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.db import connections
from pytest_django import Settings
from rest_framework.test import APIClient

from billing.ledger.recorder import Recorder
from billing.models import LedgerRow
from enforcement.control_client import ControlClient
from enforcement.keys import deadlines_key
from enforcement.sweeper import Sweeper
from metering.ids import make_hold_id
from tenants import publishing
from tenants.actions import prices
from tenants.models import AuditEntry, Customer
from tests.billing.conftest import body_of
from tests.enforcement.desk import Desk, amounts, draw
from tests.factories import ACTOR, make_api_key, make_budget, make_holding, make_key

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.filterwarnings("ignore:No directory at"),  # static files are collected for production only
]

MILLION = 1_000_000
# $1 per million in, $2 out: a million of each is held at $3.
ONE = {"model": "sim-mini", "input_tokens_max": MILLION, "output_tokens_max": MILLION}


@pytest.fixture(autouse=True)
def _own_link(settings: Settings) -> Iterator[None]:
    publishing.shared_control.cache_clear()
    yield
    publishing.shared_control.cache_clear()


class Office:
    """Acme with a customer, a budget of $50, a price at its only account, and an API key."""

    def __init__(self, client: redis.Redis, recorder: Recorder) -> None:
        self.holding = make_holding("Acme")
        self.redis, self.recorder = client, recorder
        self.scope = self.holding.tenant.scope("test")
        self.desk = Desk(client, self.scope)  # opens the shard
        terms = prices.PriceTerms(rates={"input": 1_000_000_000, "output": 2_000_000_000})
        prices.put_price(
            tenant=self.holding.tenant, mode="test", actor=ACTOR, name=("openai", "sim-mini"), terms=terms
        )
        publishing.drain_outbox()
        self.client = client_of(self.holding.api_key)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        """POST below /api/v1/holds."""
        return self.client.post(f"/api/v1/holds{path}", body, format="json", **headers)  # type: ignore[arg-type]

    def hold(self, **changes: Any) -> Any:
        """Ask for a hold of $3 for the customer."""
        return self.post("", {"customer": self.holding.customer.pk, **ONE, **changes})

    def rows(self) -> list[LedgerRow]:
        """The ledger, once the recorder has drained the stream."""
        self.recorder.drain()
        return list(LedgerRow.objects.for_scope(self.scope).order_by("seq"))

    def balance(self) -> tuple[str, str]:
        """What the budget has spent and holds."""
        answer = self.client.get(f"/api/v1/budgets/{self.holding.budget.pk}").json()
        return answer["spent_usd"], answer["held_usd"]

    def expire(self, hold_id: str, redis_url: str) -> None:
        """Let a hold's deadline pass and have it swept."""
        self.redis.hset(self.scope.hold(hold_id), "deadline", 1)
        self.redis.zadd(deadlines_key(self.scope.shard), {self.scope.hold(hold_id): 1})
        client = ControlClient(redis_url)
        Sweeper(client).sweep_shard(self.scope.shard)
        client.close()


def client_of(secret: str) -> APIClient:
    client = APIClient(raise_request_exception=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def office(redis_client: redis.Redis, make_recorder: Callable[..., Recorder]) -> Office:
    return Office(redis_client, make_recorder())


def test_a_hold_claims_the_most_and_its_settle_books_what_was_used(office: Office) -> None:
    hold = office.hold(tags={"feature": "batch"}, run="run-1")
    assert hold.status_code == 201
    held = hold.json()
    assert (held["held_cost_usd"], held["state"], held["bound_class"]) == ("3.00", "dispatched", "empirical")
    assert [each["budget"] for each in held["budgets"]] == [office.holding.budget.pk]
    assert office.balance() == ("0.00", "3.00")

    done = office.post(f"/{held['id']}/settle", {"usage": {"input": 500_000, "output": 100_000}})
    assert (done.status_code, done.json()["outcome"], done.json()["cost_usd"]) == (200, "settled", "0.70")
    assert office.balance() == ("0.70", "0.00")
    [row] = office.rows()
    assert (row.dialect, row.basis, row.cost_nanousd) == ("api", "reported", 700_000_000)
    assert (row.input_tokens, row.output_tokens, row.run_id) == (500_000, 100_000, "run-1")
    assert row.request_id == held["request_id"]


def test_a_known_cost_is_charged_by_the_holds_markup(office: Office) -> None:
    office.client.put("/api/v1/markup", {"markup_percent": "20.00"}, format="json")
    held = office.hold().json()
    assert (held["held_cost_usd"], held["held_charge_usd"]) == ("3.00", "3.60")
    office.client.put("/api/v1/markup", {"markup_percent": "90.00"}, format="json")
    done = office.post(f"/{held['id']}/settle", {"cost_usd": "1.00"}).json()
    assert (done["cost_usd"], done["charge_usd"]) == ("1.00", "1.20")


def test_usage_is_priced_by_the_model_that_answered(office: Office) -> None:
    office.client.put(
        "/api/v1/prices/openai/sim-other",
        {"input_usd_per_mtok": "0.5", "output_usd_per_mtok": "1"},
        format="json",
    )
    told = {"usage": {"input": MILLION}, "response_model": "sim-other"}
    done = office.post(f"/{office.hold().json()['id']}/settle", told).json()
    assert done["cost_usd"] == "0.50"
    [row] = office.rows()
    assert row.price_id != office.client.get("/api/v1/prices/openai/sim-mini").json()["id"]


def test_what_does_not_fit_is_refused_with_the_numbers_of_the_proxy(office: Office) -> None:
    answer = office.hold(input_tokens_max=60 * MILLION)
    body = answer.json()
    assert (answer.status_code, body["code"], body["limit_usd"]) == (402, "budget_exceeded", "50.00")
    assert (body["budget_id"], body["needed_usd"]) == (office.holding.budget.pk, "62.00")
    for _ in range(16):
        assert office.hold().status_code == 201
    crowded = office.hold()
    assert (crowded.status_code, crowded.json()["code"]) == (429, "budget_in_flight")
    assert crowded["Retry-After"] == "1"


def test_of_callers_at_once_only_those_get_a_hold_for_whom_there_is_money(office: Office) -> None:
    office.client.patch(f"/api/v1/budgets/{office.holding.budget.pk}", {"limit_usd": "15"}, format="json")

    def ask(_: int) -> int:
        try:
            body = {"customer": office.holding.customer.pk, **ONE}
            return client_of(office.holding.api_key).post("/api/v1/holds", body, format="json").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(ask, range(24)))
    assert statuses == [201] * 5 + [429] * 19
    assert office.balance() == ("0.00", "15.00")


def test_a_body_is_bounded_as_the_proxy_bounds_it(office: Office) -> None:
    messages = [{"role": "user", "content": "Say hello, please."}]
    held = office.hold(body={"messages": messages, "max_tokens": 100})
    assert held.status_code == 400, "a body and a stated bound are two words for one thing"
    payer = {"customer": office.holding.customer.pk, "account": "main", "model": "sim-mini"}
    held = office.post("", {**payer, "body": {"messages": messages, "max_tokens": 100}}).json()
    assert (held["output_cap"], held["account"]) == (100, office.holding.account.pk)
    assert 5 <= held["input_tokens_max"] <= 200
    odd = office.post("", {**payer, "body": {"messages": "?"}})
    assert (odd.status_code, odd.json()["code"]) == (400, "invalid_request")
    other = office.post("", {**payer, "body": {"input": "hi"}, "route": "/v1/nothing"})
    assert (other.status_code, other.json()["code"]) == (404, "unsupported_route")


def test_a_keys_own_limits_apply_and_a_server_key_must_name_its_customer(office: Office) -> None:
    key = office.holding.key.row
    make_budget(office.holding.tenant, key, limit="2")
    server = make_key(office.holding.tenant).row
    publishing.drain_outbox()
    assert office.post("", {"key": key.pk, **ONE}).json()["limit_usd"] == "2.00"
    assert office.post("", {"key": server.pk, **ONE}).json()["code"] == "customer_required"
    held = office.hold(key=server.pk).json()
    assert (held["key"], held["customer"]) == (server.pk, office.holding.customer.pk)
    office.client.post(f"/api/v1/keys/{server.pk}/revoke")
    assert office.hold(key=server.pk).json()["code"] == "key_revoked"


def test_a_suspended_customer_gets_no_hold(office: Office) -> None:
    office.client.patch(
        f"/api/v1/customers/{office.holding.customer.pk}", {"state": "suspended"}, format="json"
    )
    answer = office.hold()
    assert (answer.status_code, answer.json()["code"]) == (403, "customer_suspended")


def test_the_same_idempotency_key_claims_once(office: Office) -> None:
    body = {"customer": office.holding.customer.pk, **ONE}
    first, second = (office.post("", body, HTTP_IDEMPOTENCY_KEY="k-1") for _ in range(2))
    assert first.json() == second.json()
    assert office.balance() == ("0.00", "3.00")


def test_a_hold_ends_once(office: Office) -> None:
    hold_id = office.hold().json()["id"]
    assert office.post(f"/{hold_id}/release", {}).json()["outcome"] == "released"
    late = office.post(f"/{hold_id}/settle", {"cost_usd": "1"})
    assert (late.status_code, late.json()["code"]) == (409, "wrong_state")
    assert office.post(f"/{hold_id}/release", {}).status_code == 409
    [row] = office.rows()
    assert (row.kind, row.cost_nanousd, row.end) == ("released", 0, "not_sent")
    assert office.balance() == ("0.00", "0.00")


def test_a_hold_that_nobody_ends_expires_at_its_quote_and_a_late_settle_corrects_it(
    office: Office, redis_url: str
) -> None:
    hold_id = office.hold().json()["id"]
    office.expire(hold_id, redis_url)
    assert office.balance() == ("3.00", "0.00")
    early = office.post(f"/{hold_id}/settle", {"cost_usd": "1"})
    assert (early.status_code, early.json()["code"]) == (503, "enforcement_unavailable")
    [row] = office.rows()
    assert (row.kind, row.basis, row.dialect) == ("expired", "unresolved", "api")

    done = office.post(f"/{hold_id}/settle", {"usage": {"input": MILLION}})
    assert (done.status_code, done.json()["outcome"]) == (200, "corrected")
    assert office.balance() == ("1.00", "0.00")
    assert [row.cost_nanousd for row in office.rows()] == [3_000_000_000, -2_000_000_000]


def test_a_late_release_takes_back_what_the_expiry_booked(office: Office, redis_url: str) -> None:
    hold_id = office.hold().json()["id"]
    office.expire(hold_id, redis_url)
    office.rows()
    assert office.post(f"/{hold_id}/release", {}).status_code == 200
    assert [row.model for row in office.rows()] == ["sim-mini", "sim-mini"]
    assert office.balance() == ("0.00", "0.00")


def test_a_proxys_hold_is_shown_and_only_taken_away_by_hand_and_by_name(office: Office) -> None:
    desk, budget_id = office.desk, office.holding.budget.pk
    hold_id = make_hold_id(time.time_ns() // 1_000_000, 7)
    body = body_of(customer_id=office.holding.customer.pk, key_id=office.holding.key.row.pk)
    ref, _ = desk.sent(draw(budget_id), charge=amounts(110, 11, 90, 10), hold_id=hold_id, body=body)
    [shown] = office.client.get("/api/v1/holds").json()["data"]
    assert (shown["id"], shown["by_api"], shown["key"]) == (ref.hold_id, False, office.holding.key.row.pk)
    for path, given in (("settle", {"cost_usd": "1"}), ("release", {}), ("extend", {})):
        assert office.post(f"/{hold_id}/{path}", given).status_code == 409

    taken = office.post(f"/{hold_id}/release", {"reason": "its worker hangs"})
    assert (taken.status_code, taken.json()["outcome"]) == (200, "given_up")
    assert (desk.held(budget_id), desk.spent(budget_id)) == (0, 0)
    [entry] = AuditEntry.objects.filter(action="hold.release")
    assert (entry.object_id, entry.after) == (hold_id, {"reason": "its worker hangs"})

    desk.settle(ref, cost=700, charge=770)  # the call ends after all, and costs what it costs
    assert [row.kind for row in office.rows()] == ["expired", "correction", "correction"]
    assert sum(row.charge_nanousd for row in office.rows()) == desk.spent(budget_id) == 770


def test_an_open_hold_can_be_kept_for_longer_up_to_a_day(office: Office) -> None:
    held = office.hold(ttl_seconds=60).json()
    later = office.post(f"/{held['id']}/extend", {"ttl_seconds": 600}).json()
    assert later["deadline"] > held["deadline"]
    old = make_hold_id(time.time_ns() // 1_000_000 - 24 * 3600 * 1000, 3)
    office.desk.sent(
        draw(office.holding.budget.pk), charge=amounts(110, 11, 90, 10), hold_id=old,
        body=body_of(dialect="api"),
    )  # fmt: skip
    assert office.post(f"/{old}/extend", {}).json()["code"] == "wrong_state"


def test_the_list_has_pages(office: Office) -> None:
    made = [office.hold().json()["id"] for _ in range(3)]
    first = office.client.get("/api/v1/holds?limit=2").json()
    rest = office.client.get(f"/api/v1/holds?limit=2&cursor={first['next_cursor']}").json()
    assert [each["id"] for each in first["data"] + rest["data"]] == sorted(made, reverse=True)
    assert rest["next_cursor"] is None


def test_usage_under_a_misspelt_bucket_is_not_free(office: Office) -> None:
    hold_id = office.hold().json()["id"]
    for given in ({"usage": {"prompt": 5}}, {}, {"usage": {}, "cost_usd": "1"}, {"cost_usd": 0.5}):
        assert office.post(f"/{hold_id}/settle", given).status_code == 400
    unpriced = office.post(f"/{hold_id}/settle", {"extras": {"web_search": 1}})
    assert (unpriced.status_code, unpriced.json()["code"]) == (400, "invalid_request")
    assert office.balance() == ("0.00", "3.00")


def test_a_key_needs_the_scope_and_others_see_nothing(office: Office) -> None:
    hold_id = office.hold().json()["id"]
    reader = client_of(make_api_key(office.holding.tenant, scopes=("holds:read",)))
    assert reader.get(f"/api/v1/holds/{hold_id}").status_code == 200
    refused = reader.post(f"/api/v1/holds/{hold_id}/release", {}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    stranger = client_of(make_holding("Globex").api_key)
    assert stranger.get(f"/api/v1/holds/{hold_id}").status_code == 404
    assert stranger.get("/api/v1/holds").json()["data"] == []
    body = {"customer": Customer.objects.get(pk=office.holding.customer.pk).pk, **ONE}
    assert stranger.post("/api/v1/holds", body, format="json").status_code == 400
