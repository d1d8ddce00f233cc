"""No hold is forgotten: overdue ones end within one sweep, once, however many sweep."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from enforcement.control_client import ControlClient
from enforcement.errors import EnforcementUnavailable
from enforcement.hold_calls import HoldRef
from enforcement.keys import deadlines_key, shard_key
from enforcement.policies import RateLimit
from enforcement.sweeper import Sweeper, SweepReport
from tests.enforcement.desk import ACME, Desk, draw


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 1_000_000)
    desk.budget("bud_b", 1_000_000)
    return desk


@pytest.fixture
def client(redis_url: str) -> Iterator[ControlClient]:
    client = ControlClient(redis_url)
    yield client
    client.close()


@pytest.fixture
def sweeper(client: ControlClient) -> Sweeper:
    return Sweeper(client)


def overdue_sent(desk: Desk) -> HoldRef:
    ref, _ = desk.sent(
        draw("bud_a"), draw("bud_b", measure="cost"), rates=(RateLimit("lim_a", in_flight_max=500),)
    )
    desk.lapse(ref)
    return ref


def test_a_sent_hold_expires_at_its_quote_and_an_unsent_one_at_nothing(desk: Desk, sweeper: Sweeper) -> None:
    sent = overdue_sent(desk)
    unsent, _ = desk.granted(draw("bud_a"))
    desk.lapse(unsent)
    alive, _ = desk.sent(draw("bud_a"))
    report = sweeper.sweep_shard(ACME.shard)
    assert report == SweepReport(overdue=2, expired=1, released=1)
    assert (desk.hold(sent)["state"], desk.hold(unsent)["state"]) == ("expired", "released")
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (1000, 1000)
    assert (desk.spent("bud_b"), desk.held("bud_b")) == (1000, 0)
    assert desk.open_keys() == [ACME.hold(alive.hold_id)]
    assert sweeper.sweep_shard(ACME.shard) == SweepReport()


def test_two_sweepers_at_once_expire_each_hold_once(desk: Desk, redis_url: str) -> None:
    refs = [overdue_sent(desk) for _ in range(250)]
    clients = [ControlClient(redis_url) for _ in range(4)]

    def sweep_all(client: ControlClient) -> SweepReport:
        total = SweepReport()
        while (report := Sweeper(client).sweep([ACME.shard, 3])).overdue:
            total += report
        return total

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(sweep_all, clients))
    for client in clients:
        client.close()
    assert sum(report.expired for report in reports) == len(refs)
    assert len(desk.events()) == len(refs)
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (1000 * len(refs), 0)


def test_a_sweep_takes_as_many_as_it_may(desk: Desk, sweeper: Sweeper) -> None:
    for _ in range(7):
        overdue_sent(desk)
    assert sweeper.sweep_shard(ACME.shard, limit=5).expired == 5
    assert sweeper.sweep_shard(ACME.shard, limit=5).expired == 2


def test_a_member_without_an_open_hold_is_taken_out(desk: Desk, sweeper: Sweeper) -> None:
    ended = overdue_sent(desk)
    desk.expire(ended)
    desk.redis.zadd(deadlines_key(ACME.shard), {ACME.hold("h_gone"): 1, ACME.hold(ended.hold_id): 1})
    assert sweeper.sweep_shard(ACME.shard) == SweepReport(overdue=2, forgotten=2)
    assert desk.open_keys() == []


def test_a_hold_of_an_older_epoch_waits_for_the_rebuild(desk: Desk, sweeper: Sweeper) -> None:
    ref = overdue_sent(desk)
    desk.open_shard(epoch=8)
    assert sweeper.sweep_shard(ACME.shard) == SweepReport(overdue=1, waiting=1)
    assert desk.hold(ref)["state"] == "dispatched"


def test_a_closed_shard_is_left_alone(desk: Desk, sweeper: Sweeper) -> None:
    overdue_sent(desk)
    desk.redis.hset(shard_key(ACME.shard), "run_id", "0" * 40)
    assert sweeper.sweep_shard(ACME.shard) == SweepReport(overdue=1, waiting=1)


def test_a_hold_with_an_idempotency_key_and_flights_is_swept_whole(desk: Desk, sweeper: Sweeper) -> None:
    overdue_sent(desk)
    assert desk.redis.zcard(ACME.in_flight("lim_a")) == 1
    sweeper.sweep_shard(ACME.shard)
    assert desk.redis.zcard(ACME.in_flight("lim_a")) == 0


def test_a_redis_that_is_away_is_unavailable() -> None:
    with pytest.raises(EnforcementUnavailable):
        Sweeper(ControlClient("redis://127.0.0.1:1/0")).sweep([1])


def test_overdue_holds_are_counted_until_they_are_swept(desk: Desk, sweeper: Sweeper) -> None:
    overdue_sent(desk)
    desk.sent(draw("bud_a"))
    assert sweeper.count_overdue(range(256)) == 1
    sweeper.sweep_shard(ACME.shard)
    assert sweeper.count_overdue(range(256)) == 0
