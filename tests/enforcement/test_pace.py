"""The bucket of tokens in front of somebody else's service."""

from __future__ import annotations

import pytest
import redis

from enforcement.control_client import ControlClient
from enforcement.errors import EnforcementUnavailable
from enforcement.keys import Scope
from enforcement.pace import pause, take_token

SCOPE = Scope("ten_acme000000000000", "test")


def test_a_burst_goes_and_the_next_waits_its_turn(redis_client: redis.Redis, redis_url: str) -> None:
    client = ControlClient(redis_url)
    waits = [take_token(client, SCOPE, "sco_1", per_second=1, burst=3) for _ in range(5)]

    assert waits[:3] == [0, 0, 0]
    assert all(0 < wait <= 1000 for wait in waits[3:])
    assert take_token(client, SCOPE, "sco_2", per_second=1) == 0
    client.close()


def test_a_pause_stops_everything_for_as_long(redis_client: redis.Redis, redis_url: str) -> None:
    client = ControlClient(redis_url)
    pause(client, SCOPE, "sco_1", per_second=5, pause_ms=60_000)

    assert 59_000 < take_token(client, SCOPE, "sco_1", per_second=5, burst=5) <= 60_000
    assert 0 < redis_client.pttl(SCOPE.sink_pace("sco_1")) <= 62_000
    client.close()


def test_no_redis_is_said_so() -> None:
    with pytest.raises(EnforcementUnavailable):
        take_token(ControlClient("redis://127.0.0.1:1/0"), SCOPE, "sco_1", per_second=5)
