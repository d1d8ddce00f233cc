"""Holds taken without an event loop, and what is read of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from enforcement.control_client import ControlClient
from enforcement.decisions import Ended, Granted, Settlement
from enforcement.errors import EnforcementUnavailable
from enforcement.hold_facts import find_hold, open_holds
from enforcement.sync_holds import SyncHolds
from metering.events import EventBody, encode_body
from tests.enforcement.desk import ACME, Desk, draw, ref_of

BODY = EventBody("req_1", 1, "key_1", "cus_1", "acc_1", "sim", "api", "m", "pri_1", "exact", 8, 0)
HELD = (1000, 1000)


@pytest.fixture
def client(redis_url: str) -> Iterator[ControlClient]:
    client = ControlClient(redis_url)
    yield client
    client.close()


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    desk = Desk(redis_client)
    desk.budget("bud_a", 5_000)
    return desk


def test_a_hold_is_taken_marked_prolonged_and_settled(desk: Desk, client: ControlClient) -> None:
    holds = SyncHolds(client)
    reservation = desk.reservation(draw("bud_a"), body=encode_body(BODY))
    granted = holds.reserve(reservation)
    assert isinstance(granted, Granted)
    deadline_ms = holds.dispatched(reservation, granted, lease_ms=60_000)
    ref = ref_of(reservation, granted)
    later_ms = holds.renew(ref, lease_ms=120_000)
    assert later_ms is not None
    assert later_ms > deadline_ms
    [facts] = open_holds(client, ACME)
    assert (facts.ref, facts.is_open, facts.held, facts.body) == (ref, True, HELD, BODY)
    settlement = Settlement(cost_nanousd=40, charge_nanousd=50, basis="reported", body=b"{}")
    ended, booking = holds.settle(ref, settlement, held=HELD)
    assert isinstance(ended, Ended)
    assert booking is not None
    assert booking.charge_nanousd == 50
    assert open_holds(client, ACME) == []
    known = find_hold(client, ACME, ref.hold_id)
    assert known is not None
    assert (known.is_open, known.end_cost_nanousd, known.end_charge_nanousd, known.body) == (
        False,
        40,
        50,
        None,
    )
    assert holds.renew(ref, lease_ms=1_000) is None
    with pytest.raises(EnforcementUnavailable, match="ended before"):
        holds.dispatched(reservation, granted, lease_ms=60_000)


def test_a_hold_is_released_at_nothing_or_given_up_at_its_quote(desk: Desk, client: ControlClient) -> None:
    holds = SyncHolds(client)
    released, _ = desk.sent(draw("bud_a"))
    holds.release(released, body=b"{}", held=HELD)
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (0, 0)
    given_up, _ = desk.sent(draw("bud_a"))
    holds.give_up(given_up, body=b"{}", held=HELD)
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (1000, 0)


def test_what_nobody_knows_or_can_read_is_said_so(desk: Desk, client: ControlClient) -> None:
    assert find_hold(client, ACME, "nobody") is None
    ref, _ = desk.sent(draw("bud_a"), body=b"no event")
    found = find_hold(client, ACME, ref.hold_id)
    assert found is not None
    assert found.body is None


def test_a_policy_of_this_epoch_is_read_with_its_version(desk: Desk, client: ControlClient) -> None:
    holds = SyncHolds(client)
    key = ACME.tenant_policy()
    assert holds.read_policy(key) is None
    desk.policy(key, 7)
    assert holds.read_policy(key) == (7, b"{}")
    desk.redis.hset(key, "epoch", desk.epoch - 1)
    assert holds.read_policy(key) is None
