"""A shard that is not the one we knew stays closed until its budgets say again what the books say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
import redis

from enforcement.adoption import OpenClaim, adopt_call
from enforcement.control import Control
from enforcement.control_calls import RecorderMark, begin_rebuild_call, mark_recorded_call, open_call
from enforcement.control_client import ControlClient
from enforcement.hold_calls import HoldRef
from enforcement.keys import Scope, deadlines_key, shard_key, wanted_key
from enforcement.policies import KeyPolicy
from enforcement.rebuild import Patience, Progress, Rebuilder
from enforcement.shard_records import ShardRecord, read_records, reason_to_rebuild
from tests.enforcement.desk import ACME, EPOCH, TOTAL, Desk, draw
from tests.enforcement.ledger_stub import LedgerStub

SHARD = ACME.shard
NEXT = EPOCH + 1
LATER_MS = 2**50
ACTIVE = KeyPolicy("key_1", ACME.tenant_id, "test", "server")
REVOKED = KeyPolicy("key_1", ACME.tenant_id, "test", "server", state="revoked")


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    """A shard in its seventh epoch, with two budgets."""
    desk = Desk(redis_client)
    desk.budget("bud_a", 5_000)
    desk.budget("bud_b", 5_000)
    return desk


@pytest.fixture
def client(redis_url: str) -> Iterator[ControlClient]:
    client = ControlClient(redis_url)
    yield client
    client.close()


@pytest.fixture
def ledger() -> LedgerStub:
    return LedgerStub(ACME, limits={"bud_a": 5_000, "bud_b": 5_000})


@pytest.fixture
def rebuilder(client: ControlClient, ledger: LedgerStub) -> Rebuilder:
    return Rebuilder(client, ledger, Patience(adopt_ms=20_000, carried_lease_ms=20_000))


def become_another_server(desk: Desk) -> None:
    desk.redis.hset(shard_key(SHARD), "run_id", "f" * 40)


def advance(rebuilder: Rebuilder, client: ControlClient, *, now_ms: int = LATER_MS) -> Progress:
    return rebuilder.advance(rebuilder.look([SHARD]).closed, now_ms=now_ms)


def rebuild(rebuilder: Rebuilder, client: ControlClient, desk: Desk) -> None:
    assert advance(rebuilder, client).begun == [SHARD]
    assert advance(rebuilder, client).opened == [SHARD]
    desk.epoch += 1


def claim(ref: HoldRef, **changes: object) -> OpenClaim:
    made = OpenClaim(
        scope=ACME, hold_id=ref.hold_id, state="dispatched", attempt="attempt-1", request_id="req_1",
        cost_nanousd=1000, charge_nanousd=1000, output_cap=90, draws=ref.draws, body=b"{}",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)  # type: ignore[arg-type]


# Why a shard is rebuilt


@pytest.mark.parametrize(
    ("changes", "mark", "reason"),
    [
        ({}, (7, 90), None),
        ({}, (7, 100), None),
        ({"epoch": 0, "state": "absent"}, (0, 0), "absent"),
        ({"run_id": "other"}, (7, 90), "other_server"),
        ({}, (7, 101), "fell_behind"),
        ({}, (8, 1), "fell_behind"),
        ({"state": "adopting"}, (7, 90), "unfinished"),
        ({"state": "closed"}, (7, 90), "closed"),
    ],
)
def test_why_a_shard_is_rebuilt(
    changes: dict[str, object], mark: tuple[int, int], reason: str | None
) -> None:
    known = ShardRecord(SHARD, "open", "me", epoch=7, seq=100, began_ms=0, server_run_id="me")
    record = replace(known, **changes)  # type: ignore[arg-type]
    assert reason_to_rebuild(record, RecorderMark(*mark)) == reason


def test_an_open_shard_is_left_alone(desk: Desk, rebuilder: Rebuilder, client: ControlClient) -> None:
    assert advance(rebuilder, client) == Progress()
    assert read_records(client, [SHARD])[0].epoch == EPOCH


def test_all_shards_of_an_empty_redis_open_in_one_pass(
    redis_client: redis.Redis, rebuilder: Rebuilder, client: ControlClient
) -> None:
    shards = list(range(256))
    progress = rebuilder.advance(rebuilder.look(shards).closed, now_ms=0)
    assert (sorted(progress.opened), progress.waiting) == (shards, [])
    assert {record.state for record in read_records(client, shards)} == {"open"}
    assert redis_client.hget(ACME.customers(), "complete") == b"1"


def test_two_keepers_begin_one_epoch(desk: Desk, client: ControlClient) -> None:
    become_another_server(desk)
    calls = [begin_rebuild_call(SHARD, found_epoch=EPOCH, epoch=NEXT)] * 2
    assert client.statuses(calls) == ["begun", "moved"]
    assert client.statuses([open_call(SHARD, epoch=NEXT + 1), open_call(SHARD, epoch=NEXT)]) == [
        "moved",
        "opened",
    ]


# What it holds afterwards


def test_after_a_rebuild_spent_is_what_the_books_say(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    for cost in (300, 400):
        ref, _ = desk.sent(draw("bud_a"), draw("bud_b"))
        desk.settle(ref, cost)
    ledger.record(desk.redis)
    desk.redis.hset(ACME.budget("bud_a"), f"s:{TOTAL.window_id}", 1)  # an older file says so
    become_another_server(desk)
    rebuild(rebuilder, client, desk)
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (700, 0)
    assert desk.record("bud_a")["epoch"] == str(NEXT)
    assert desk.sent(draw("bud_a"))


def test_a_rebuild_waits_for_the_proxies_and_then_for_the_recorder(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.settle(ref, 300)
    become_another_server(desk)
    assert advance(rebuilder, client).begun == [SHARD]
    assert advance(rebuilder, client, now_ms=desk.now_ms()).waiting == [SHARD]
    ledger.left_behind = {SHARD}  # it may still commit what it read before
    ledger.record(desk.redis)
    assert advance(rebuilder, client).waiting == [SHARD]
    ledger.left_behind = set()
    ledger.mark = RecorderMark()  # the stream has an entry that the ledger has not
    assert advance(rebuilder, client).waiting == [SHARD]
    ledger.record(desk.redis)
    assert advance(rebuilder, client).opened == [SHARD]
    assert desk.spent("bud_a") == 300


def test_a_keeper_that_dies_half_way_is_followed_by_another(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    become_another_server(desk)
    advance(rebuilder, client)
    follower = Rebuilder(client, ledger, Patience(adopt_ms=0, carried_lease_ms=20_000))
    assert advance(follower, client).opened == [SHARD]
    assert advance(rebuilder, client) == Progress()


def test_no_revoked_key_lives_again(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub, redis_url: str
) -> None:
    control = Control(redis_url)
    for digest in ("d_revoked", "d_forgotten"):
        control.publish_key(ACTIVE, digest=digest, version=9)
    desk.redis.hset(ACME.customers(), mapping={"epoch": EPOCH, "complete": EPOCH, "old": "cus_erased"})
    control.publish_default_budget(ACME, limit_nanousd=None, ref=None, version=3, arrivals_per_hour_max=0)
    ledger.keys = {"d_revoked": (REVOKED, 4)}
    become_another_server(desk)
    rebuild(rebuilder, client, desk)
    assert b"revoked" in desk.redis.hget(ACME.key_policy("d_revoked"), "body")
    assert control.published_versions(ACME, [ACME.key_policy("d_forgotten")]) == [0]
    assert desk.redis.hgetall(ACME.customers()) == {b"epoch": b"8", b"complete": b"8"}
    assert desk.redis.exists(ACME.default_budget()) == 0
    control.close()


def test_a_limit_set_while_the_shard_is_rebuilt_wins_over_an_older_one(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, redis_url: str
) -> None:
    control = Control(redis_url)
    become_another_server(desk)
    advance(rebuilder, client)
    assert control.set_limit(ACME, budget_id="bud_a", limit_nanousd=77, version=9)
    assert advance(rebuilder, client).opened == [SHARD]
    balance = control.read_budget(ACME, "bud_a")
    assert balance is not None
    assert (balance.limit_nanousd, balance.version) == (77, 9)
    control.close()


def test_a_rebuild_leaves_the_documents_of_other_shards_alone(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient
) -> None:
    globex = Scope("ten_globex0000000000", "test")
    assert globex.shard != SHARD
    desk.redis.hset(globex.tenant_policy(), mapping={"version": 1, "epoch": 1, "body": "{}"})
    become_another_server(desk)
    rebuild(rebuilder, client, desk)
    assert desk.redis.exists(globex.tenant_policy()) == 1


# Holds


def test_a_hold_that_its_proxy_adopts_is_held_and_settles_once(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    become_another_server(desk)
    advance(rebuilder, client)
    assert client.run_in_life(adopt_call(claim(ref), lease_ms=30_000), epoch=NEXT).status == "adopted"
    desk.redis.delete(ACME.budget("bud_b"))
    assert advance(rebuilder, client).opened == [SHARD]
    desk.epoch = NEXT
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (0, 1000)
    desk.settle(ref, 250)
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (250, 0)
    ledger.record(desk.redis)
    assert ledger.sums("bud_a") == {TOTAL.window_id: 250}


def test_an_end_while_adopting_is_counted_once(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    become_another_server(desk)
    advance(rebuilder, client)
    client.run_in_life(adopt_call(claim(ref), lease_ms=30_000), epoch=NEXT)
    desk.epoch = NEXT
    desk.settle(ref, 250)
    assert advance(rebuilder, client).waiting == [SHARD]
    ledger.record(desk.redis)
    assert advance(rebuilder, client).opened == [SHARD]
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (250, 0)


def test_a_hold_that_nobody_adopts_is_carried_and_expires_as_unresolved(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.redis.zadd(deadlines_key(SHARD), {ACME.hold("h_garbage"): 1})
    become_another_server(desk)
    rebuild(rebuilder, client, desk)
    assert (desk.held("bud_a"), desk.hold(ref)["epoch"]) == (1000, str(NEXT))
    assert int(desk.hold(ref)["deadline"]) > desk.now_ms() + 15_000
    assert desk.open_keys() == [ACME.hold(ref.hold_id)]
    desk.lapse(ref)
    assert desk.expire(ref) == ["expired"]
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (1000, 0)
    assert desk.events()[-1]["basis"] == "unresolved"


def test_a_hold_that_the_books_know_is_buried_and_cannot_be_booked_again(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    settled, _ = desk.sent(draw("bud_a"))
    expired, _ = desk.sent(draw("bud_a"))
    records = {key: desk.redis.hgetall(key) for key in desk.open_keys()}
    desk.settle(settled, 300)
    desk.expire(expired, is_forced=True)
    ledger.record(desk.redis)
    idempotency = desk.scope.idempotency("d1")
    desk.redis.hset(idempotency, mapping={"hold": settled.hold_id, "state": "open", "body": "b"})
    for key, record in records.items():  # an older file has both as open
        desk.redis.delete(key)
        desk.redis.hset(
            key, mapping={**record, "idem": "d1" if key == desk.scope.hold(settled.hold_id) else ""}
        )
        desk.redis.zadd(deadlines_key(SHARD), {key: 1})
    become_another_server(desk)
    rebuild(rebuilder, client, desk)
    assert (desk.spent("bud_a"), desk.held("bud_a"), desk.open_keys()) == (1300, 0, [])
    assert desk.hold(settled)["state"] == "settled"
    assert desk.redis.hmget(idempotency, "state", "cost") == [b"done", b"300"]
    desk.settle(expired, 400)  # late: corrects what the ledger had booked
    assert desk.spent("bud_a") == 700
    ledger.record(desk.redis)
    assert ledger.sums("bud_a") == {TOTAL.window_id: 700}


def test_a_tombstone_that_was_lost_is_written_again(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.expire(ref, is_forced=True)
    ledger.record(desk.redis)
    desk.redis.delete(ACME.hold(ref.hold_id))
    become_another_server(desk)
    advance(rebuilder, client)
    advance(rebuilder, client)
    assert client.run_in_life(adopt_call(claim(ref), lease_ms=30_000), epoch=NEXT).status == "ended"


def test_a_proxy_that_slept_through_an_expiry_corrects_it_after_the_rebuild(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.lapse(ref)
    desk.expire(ref)
    ledger.record(desk.redis)
    desk.redis.delete(ACME.hold(ref.hold_id), ACME.budget("bud_a"))  # Redis lost it all, and the proxy wakes
    become_another_server(desk)
    assert advance(rebuilder, client).begun == [SHARD]
    assert client.run_in_life(adopt_call(claim(ref), lease_ms=30_000), epoch=NEXT).status == "ended"
    desk.epoch = NEXT
    desk.settle(ref, 250)
    ledger.record(desk.redis)
    assert advance(rebuilder, client).opened == [SHARD]
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (250, 0)
    assert ledger.sums("bud_a") == {TOTAL.window_id: 250}


@pytest.mark.parametrize("is_settled", [True, False])
def test_an_adopted_hold_whose_end_was_booked_late_is_buried_all_the_same(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient, ledger: LedgerStub, is_settled: bool
) -> None:
    """The recorder committed the end only after the epoch began; its proxy never heard of it."""
    ref, _ = desk.sent(draw("bud_a"))
    if is_settled:
        desk.settle(ref, 250)
    else:
        desk.expire(ref, is_forced=True)
    desk.redis.delete(ACME.hold(ref.hold_id), ACME.budget("bud_a"))
    become_another_server(desk)
    advance(rebuilder, client)
    assert client.run_in_life(adopt_call(claim(ref), lease_ms=30_000), epoch=NEXT).status == "adopted"
    ledger.record(desk.redis)
    assert advance(rebuilder, client).opened == [SHARD]
    desk.epoch = NEXT
    assert (desk.held("bud_a"), desk.open_keys()) == (0, [])
    desk.settle(ref, 250)
    ledger.record(desk.redis)
    assert desk.spent("bud_a") == 250
    assert ledger.sums("bud_a") == {TOTAL.window_id: 250}


def test_a_hold_whose_draws_make_no_sense_keeps_the_shard_closed(
    desk: Desk, rebuilder: Rebuilder, client: ControlClient
) -> None:
    ref, _ = desk.sent(draw("bud_a"))
    desk.redis.hset(ACME.hold(ref.hold_id), "draws", "bud_a:w:charge,:x:cost,bud_b:w:cost")
    become_another_server(desk)
    advance(rebuilder, client)
    assert advance(rebuilder, client).waiting == [SHARD]


# Marks


def test_the_recorder_s_mark_only_grows_and_is_of_one_epoch(desk: Desk, client: ControlClient) -> None:
    calls = [
        mark_recorded_call(SHARD, epoch=epoch, seq=seq) for epoch, seq in ((7, 5), (7, 4), (6, 9), (7, 6))
    ]
    assert client.statuses(calls) == ["marked", "older", "older", "marked"]
    assert desk.redis.hget(shard_key(SHARD), "recorded") == b"6"


def test_beginning_clears_what_was_said_of_the_older_epoch(desk: Desk, client: ControlClient) -> None:
    desk.redis.hset(shard_key(SHARD), mapping={"overloaded": "memory", "recorded": 40, "last_event_seq": 50})
    desk.redis.hset(wanted_key(SHARD), "x", 1)
    client.run(begin_rebuild_call(SHARD, found_epoch=EPOCH, epoch=NEXT))
    record = desk.redis.hgetall(shard_key(SHARD))
    assert b"overloaded" not in record
    assert (record[b"recorded"], record[b"last_event_seq"], record[b"state"]) == (b"0", b"0", b"adopting")
    assert desk.redis.exists(wanted_key(SHARD)) == 0
