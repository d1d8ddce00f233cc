"""What Redis holds of one customer is found and taken away, and nothing of another's."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
import redis

from enforcement.control_client import ControlClient
from enforcement.erasing import find_traces, open_holds_of, remove_traces
from enforcement.keys import arrivals_key, dead_letters_key, usage_key
from metering.events import EventBody, encode_body
from tests.enforcement.desk import ACME, Desk, draw

SHARD = ACME.shard


def body(customer_id: str, **tags: str) -> bytes:
    event = EventBody("req_1", 1, "key_1", customer_id, "acc_1", "sim", "openai", "m", "pri_1", "exact", 8, 0)
    return encode_body(msgspec.structs.replace(event, tags=tags))


@pytest.fixture
def client(redis_url: str) -> Iterator[ControlClient]:
    client = ControlClient(redis_url)
    yield client
    client.close()


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 50_000)
    return desk


def test_open_holds_are_named_for_their_customer_alone(desk: Desk, client: ControlClient) -> None:
    mine, _ = desk.sent(draw("bud_a"), body=body("cus_a"))
    desk.sent(draw("bud_a"), body=body("cus_b"))
    assert open_holds_of(client, ACME, "cus_a") == [mine.hold_id]
    desk.settle(mine, 5)
    assert open_holds_of(client, ACME, "cus_a") == []


def test_tags_and_names_go_and_amounts_stay(desk: Desk, client: ControlClient) -> None:
    for customer_id, tags in (("cus_a", {"who": "ann"}), ("cus_a", {}), ("cus_b", {"who": "bob"})):
        desk.redis.xadd(usage_key(SHARD), {"body": body(customer_id, **tags), "cost": 5})
    desk.redis.xadd(dead_letters_key(SHARD), {"body": b"broken cus_a ann"})
    for customer_id in ("cus_a", "cus_b"):
        desk.redis.xadd(arrivals_key(SHARD), {"customer_id": customer_id, "external_id": "x"})
    ended, _ = desk.sent(draw("bud_a"))
    desk.settle(ended, 7)
    desk.redis.hset(ACME.hold(ended.hold_id), "body", body("cus_a", who="ann"))

    traces = find_traces(client, ACME, "cus_a")
    assert (len(traces.entries), len(traces.arrivals), len(traces.holds)) == (2, 1, 1)
    remove_traces(client, ACME, traces)
    assert find_traces(client, ACME, "cus_a").entries == ()
    left = desk.redis.xrange(usage_key(SHARD))
    assert not any(b"ann" in fields.get(b"body", b"") for _, fields in left)
    assert any(b"bob" in fields.get(b"body", b"") for _, fields in left)
    assert desk.redis.xlen(dead_letters_key(SHARD)) == 0
    assert desk.redis.xlen(arrivals_key(SHARD)) == 1
    assert desk.hold(ended)["end_cost"] == "7"
