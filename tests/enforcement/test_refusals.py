"""Refusals are counted by budget and minute, beside the way of the request, and forgotten after two hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest
import redis

from enforcement import refusals
from enforcement.control_client import ControlClient
from enforcement.errors import EnforcementUnavailable
from enforcement.holds import Holds
from enforcement.keys import Scope
from enforcement.links import Links
from enforcement.refusals import KEPT_S, RefusalCounts, read_refusals
from tests.enforcement.desk import ACME, Desk, draw
from tests.enforcement.proxies import until

MINUTE_MS = 60_000


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 5)
    return desk


@pytest.fixture
async def holds(desk: Desk, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Holds]:
    monkeypatch.setattr(refusals, "TELL_EVERY_S", 0.01)
    holds = Holds(redis_url, timeout_ms=500, renew_every_ms=60_000)
    await holds.start()
    yield holds
    await holds.close()


def counted(redis_url: str, desk: Desk, *, scope: Scope = ACME, later_ms: int = 0) -> Counter[str]:
    client = ControlClient(redis_url)
    try:
        return read_refusals(client, scope, now_ms=desk.now_ms() + later_ms)
    finally:
        client.close()


async def test_a_refusal_is_counted_for_its_budget_within_a_second(
    holds: Holds, desk: Desk, redis_url: str, redis_client: redis.Redis
) -> None:
    for _ in range(3):
        await holds.reserve(desk.reservation(draw("bud_a")))
    await until(lambda: bool(redis_client.keys("*:refused:*")))
    await holds.close()

    assert counted(redis_url, desk) == {"bud_a": 3}
    assert counted(redis_url, desk, later_ms=61 * MINUTE_MS) == {}
    assert counted(redis_url, desk, scope=Scope(ACME.tenant_id, "live")) == {}
    # One a minute, and the minute may have turned.
    assert all(0 < redis_client.ttl(key) <= KEPT_S for key in redis_client.keys("*:refused:*"))


async def test_grants_and_rate_limits_are_no_refusals_of_a_budget(
    holds: Holds, desk: Desk, redis_client: redis.Redis
) -> None:
    desk.budget("bud_b", 5_000)
    await holds.reserve(desk.reservation(draw("bud_b")))
    await holds.close()
    assert redis_client.keys("*:refused:*") == []


async def test_counts_that_cannot_be_told_are_dropped(desk: Desk, redis_url: str) -> None:
    links = Links("redis://127.0.0.1:1/0", timeout_ms=100)
    counts = RefusalCounts(links)
    counts.note(ACME, desk.reserve(desk.reservation(draw("bud_a"))))
    await counts.stop()
    assert counted(redis_url, desk) == {}
    with pytest.raises(EnforcementUnavailable):
        counted("redis://127.0.0.1:1/0", desk)


async def test_a_flood_of_budgets_is_counted_up_to_a_bound(
    desk: Desk, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "BUDGETS_PER_TELLING_MAX", 1)
    desk.budget("bud_b", 5)
    links = Links(redis_url, timeout_ms=500)
    counts = RefusalCounts(links)
    for budget_id in ("bud_a", "bud_b"):
        counts.note(ACME, desk.reserve(desk.reservation(draw(budget_id))))
    await counts.tell()
    await links.close()
    assert counted(redis_url, desk) == {"bud_a": 1}
