"""A customer seen for the first time gets one default budget, and only where that is certain to be right."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from enforcement.decisions import (
    NotLoaded,
    Refused,
    UnknownCustomer,
)
from enforcement.keys import arrivals_key
from metering.ids import external_digest
from tests.enforcement.arrivals import first_seen, prepare_arrivals
from tests.enforcement.desk import ACME, EPOCH, Desk, draw


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client)


def test_a_first_seen_customer_gets_one_default_budget(desk: Desk) -> None:
    prepare_arrivals(desk)
    new = first_seen()
    _, granted = desk.granted(new.draw, first_seen=new)
    assert granted.remaining_nanousd == 4_000
    record = desk.record(new.draw.budget_id)
    assert (record["limit"], record["version"], record["epoch"]) == ("5000", "3", str(EPOCH))
    assert desk.redis.hget(ACME.customers(), external_digest("acme-1")) == new.customer_id.encode()
    (arrival,) = desk.events(arrivals_key(ACME.shard))
    assert arrival["external_id"] == "acme-1"
    assert arrival["customer_id"] == new.customer_id
    assert arrival["budget_id"] == new.draw.budget_id
    assert (arrival["tenant_id"], arrival["mode"], arrival["limit"]) == (ACME.tenant_id, "test", "5000")
    assert 0 < desk.redis.pttl(ACME.arrivals_this_hour()) <= 3_600_000
    # a second first call of the same customer finds the budget and shares it
    desk.granted(new.draw, first_seen=new)
    assert desk.held(new.draw.budget_id) == 2_000
    assert len(desk.events(arrivals_key(ACME.shard))) == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda desk: desk.redis.hdel(ACME.customers(), "complete"), "index_incomplete"),
        (lambda desk: desk.redis.hset(ACME.customers(), "complete", EPOCH - 1), "index_incomplete"),
        (lambda desk: desk.redis.hset(ACME.customers(), external_digest("acme-1"), "cus_other"), "known"),
        (lambda desk: desk.redis.delete(ACME.default_budget()), "no_default"),
        (lambda desk: desk.redis.hdel(ACME.default_budget(), "limit"), "no_default"),
        (lambda desk: desk.redis.hset(ACME.default_budget(), "epoch", EPOCH - 1), "no_default"),
    ],
)
def test_a_first_seen_customer_is_not_made_in_doubt(desk: Desk, spoil: Any, reason: str) -> None:
    prepare_arrivals(desk)
    spoil(desk)
    new = first_seen()
    assert desk.reserve(desk.reservation(new.draw, first_seen=new)) == UnknownCustomer(reason)  # type: ignore[arg-type]
    assert desk.record(new.draw.budget_id) == {}


def test_arrivals_are_capped_per_hour(desk: Desk) -> None:
    prepare_arrivals(desk, per_hour=2)
    for name in ("a", "b"):
        desk.granted(first_seen(name).draw, first_seen=first_seen(name))
    outcome = desk.reserve(desk.reservation(first_seen("c").draw, first_seen=first_seen("c")))
    assert isinstance(outcome, UnknownCustomer)
    assert outcome.reason == "too_many"
    assert 3_500_000 < outcome.retry_after_ms <= 3_600_000


def test_a_first_seen_customer_whose_default_is_too_small_is_not_made(desk: Desk) -> None:
    prepare_arrivals(desk, limit=10)
    new = first_seen()
    assert isinstance(desk.reserve(desk.reservation(new.draw, first_seen=new)), Refused)
    assert desk.events(arrivals_key(ACME.shard)) == []
    assert not desk.redis.hexists(ACME.customers(), external_digest("acme-1"))


def test_a_default_budget_left_by_an_older_epoch_is_loaded_not_made(desk: Desk) -> None:
    prepare_arrivals(desk)
    new = first_seen()
    desk.budget(new.draw.budget_id, 5_000, epoch=EPOCH - 1)
    assert desk.reserve(desk.reservation(new.draw, first_seen=new)) == NotLoaded(new.draw.budget_id)
    assert desk.events(arrivals_key(ACME.shard)) == []


def test_a_first_seen_customers_other_budgets_rule_too(desk: Desk) -> None:
    prepare_arrivals(desk)
    desk.budget("bud_tenant", 10)
    new = first_seen()
    outcome = desk.reserve(desk.reservation(draw("bud_tenant"), new.draw, first_seen=new))
    assert isinstance(outcome, Refused)
    assert outcome.budget.budget_id == "bud_tenant"
