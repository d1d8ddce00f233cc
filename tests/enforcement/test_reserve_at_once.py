"""Many reserves at the same instant, over connections of their own: exactly what fits is granted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from enforcement.decisions import (
    Crowded,
    Granted,
)
from enforcement.keys import arrivals_key
from tests.enforcement.arrivals import first_seen, prepare_arrivals
from tests.enforcement.desk import ACME, Desk, draw


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client)


def test_first_calls_of_an_unknown_customer_share_one_default_budget(
    redis_client: redis.Redis, redis_url: str
) -> None:
    desk = Desk(redis_client)
    prepare_arrivals(desk, limit=50_000)
    new = first_seen()
    calls = [desk.reservation(new.draw, first_seen=new) for _ in range(500)]
    outcomes = asyncio.run(reserve_together(desk, redis_url, calls))
    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 50
    assert sum(isinstance(outcome, Crowded) for outcome in outcomes) == 450
    assert desk.held(new.draw.budget_id) == 50_000
    assert len(desk.events(arrivals_key(ACME.shard))) == 1


def test_200_concurrent_reserves_on_room_for_50_grant_exactly_50(
    redis_client: redis.Redis, redis_url: str
) -> None:
    desk = Desk(redis_client)
    desk.budget("bud_a", 50_999)
    calls = [desk.reservation(draw("bud_a")) for _ in range(200)]
    outcomes = asyncio.run(reserve_together(desk, redis_url, calls))
    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 50
    assert sum(isinstance(outcome, Crowded) for outcome in outcomes) == 150
    assert desk.held("bud_a") == 50_000


async def reserve_together(desk: Desk, redis_url: str, calls: list[Any]) -> list[Any]:
    from enforcement.holds import Holds

    proxies = [Holds(redis_url) for _ in range(4)]
    for proxy in proxies:
        await proxy.start()
    try:
        return await asyncio.gather(*(proxies[n % 4].reserve(call) for n, call in enumerate(calls)))
    finally:
        for proxy in proxies:
            await proxy.close()
