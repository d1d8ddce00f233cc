"""A budget that counts its window so far, from the API to the ledger: exact with calls before, during and after."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from billing.keeper import Keeper
from billing.ledger.recorder import Recorder
from enforcement.control import Control
from enforcement.decisions import Ended, Granted, NotLoaded, Refused, Reservation, Settlement
from enforcement.hold_calls import HoldRef, settle_call
from enforcement.hold_replies import read_end
from enforcement.keys import Scope
from enforcement.rebuild import Patience
from metering.ids import make_hold_id
from metering.windows import WindowSpec, window_at
from tenants import publishing
from tenants.models import Outbox
from tests.billing.conftest import body_of, sql
from tests.enforcement.desk import Desk, draw, ref_of
from tests.factories import Holding, make_budget, make_customer, make_holding

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

NOW_MS = int(time.time() * 1000)
MONTH = window_at(WindowSpec("month"), NOW_MS)
AT_ONCE = Patience(adopt_ms=0, carried_lease_ms=30_000)


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    publishing.shared_control.cache_clear()
    control = Control(redis_url)
    yield control
    control.close()
    publishing.shared_control.cache_clear()


@pytest.fixture
def keeper(control: Control) -> Keeper:
    keeper = Keeper(control.client, patience=AT_ONCE)
    keeper.tick()
    return keeper


@pytest.fixture
def acme(control: Control, keeper: Keeper) -> Holding:
    holding = make_holding("Acme")
    publishing.drain_outbox(control=control)
    return holding


@pytest.fixture
def desk(acme: Holding, redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client, Scope(acme.tenant.pk, "test"))
    desk.open_shard(epoch=1)
    return desk


def reservation(desk: Desk, *budget_ids: str, customer_id: str) -> Reservation:
    draws = [draw(budget_id, window=MONTH) for budget_id in budget_ids]
    hold_id = make_hold_id(NOW_MS, next(desk.numbers))
    return desk.reservation(*draws, hold_id=hold_id, body=body_of(customer_id=customer_id, started_ms=NOW_MS))


def send(desk: Desk, *budget_ids: str, customer_id: str) -> HoldRef:
    asked = reservation(desk, *budget_ids, customer_id=customer_id)
    granted = desk.reserve(asked)
    assert isinstance(granted, Granted), granted
    ref = ref_of(asked, granted)
    desk.dispatched(ref)
    return ref


def settle(desk: Desk, ref: HoldRef, nanousd: int, *, customer_id: str) -> None:
    body = body_of(customer_id=customer_id, started_ms=NOW_MS)
    ended = Settlement(cost_nanousd=nanousd, charge_nanousd=nanousd, basis="reported", body=body)
    assert isinstance(read_end(desk.run(settle_call(ref, ended)), ref.hold_id, (0, 0))[0], Ended)


def ask(acme: Holding, **terms: Any) -> Any:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    given = {"customer": acme.customer.pk, "limit_usd": "0.00001", "count_so_far": True, **terms}
    return client, client.post("/api/v1/budgets", given, format="json")


def test_calls_before_during_and_after_its_making_are_counted_once(
    acme: Holding, desk: Desk, control: Control, keeper: Keeper, recorder: Recorder
) -> None:
    # given calls of this customer and of another one, recorded and not, and one in flight
    mine, old = acme.customer.pk, acme.budget.pk
    other = make_customer(acme.tenant, "other")
    others = make_budget(acme.tenant, other)
    publishing.drain_outbox(control=control)
    settle(desk, send(desk, old, customer_id=mine), 3_000, customer_id=mine)
    recorder.drain()
    settle(desk, send(desk, old, customer_id=mine), 400, customer_id=mine)
    settle(desk, send(desk, others.pk, customer_id=other.pk), 700, customer_id=other.pk)
    in_flight = send(desk, old, customer_id=mine)

    # when a budget is made that counts so far
    client, made = ask(acme)
    budget_id = made.json()["id"]

    # then it is pending, and nothing is granted on it, until the recorder has passed its position
    assert (made.status_code, made.json()["pending"], made.json()["balance"]) == (202, True, "not_loaded")
    assert made.json()["count_so_far"] is True
    outcome = desk.reserve(reservation(desk, old, budget_id, customer_id=mine))
    assert isinstance(outcome, NotLoaded)
    assert keeper.tick().wanted == 1
    settle(desk, in_flight, 50, customer_id=mine)
    assert keeper.tick().wanted == 1
    recorder.drain()
    assert keeper.tick().wanted == 0
    assert spent(control, desk.scope, budget_id) == 3_450

    # and from then on it counts what draws on it, beside the other
    late = send(desk, old, budget_id, customer_id=mine)
    settle(desk, late, 800, customer_id=mine)
    assert spent(control, desk.scope, budget_id) == 4_250
    recorder.drain()
    booked = sql(
        "SELECT sum(charge_nanousd)::bigint FROM ledger_row WHERE tenant_id = %s AND customer_id = %s",
        acme.tenant.pk,
        mine,
    )
    assert booked == [(4_250,)]
    Outbox.objects.update(due_at="2000-01-01T00:00:00Z")
    publishing.drain_outbox(control=control)
    shown = client.get(f"/api/v1/budgets/{budget_id}").json()
    assert (shown["pending"], shown["spent_usd"], shown["balance"]) == (False, "0.00000425", "live")


def test_what_was_used_so_far_refuses_what_does_not_fit(
    acme: Holding, desk: Desk, keeper: Keeper, recorder: Recorder
) -> None:
    mine, old = acme.customer.pk, acme.budget.pk
    settle(desk, send(desk, old, customer_id=mine), 9_500, customer_id=mine)
    recorder.drain()
    _, made = ask(acme)
    assert keeper.tick().wanted == 0
    outcome = desk.reserve(reservation(desk, old, made.json()["id"], customer_id=mine))
    assert isinstance(outcome, Refused), outcome


def test_a_budget_counts_from_zero_unless_asked(acme: Holding, desk: Desk, control: Control) -> None:
    mine, old = acme.customer.pk, acme.budget.pk
    settle(desk, send(desk, old, customer_id=mine), 9_500, customer_id=mine)
    _, made = ask(acme, count_so_far=False)
    assert (made.status_code, made.json()["pending"]) == (201, False)
    assert spent(control, desk.scope, made.json()["id"]) == 0


def spent(control: Control, scope: Scope, budget_id: str) -> int:
    balance = control.read_budget(scope, budget_id)
    assert balance is not None
    return sum(window.spent_nanousd for window in balance.windows if window.window_id == MONTH.window_id)
