"""Valkey is killed and comes back with an older file: nothing of it is believed, and no dollar is lost or doubled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from config.devservers import Valkey
from enforcement.adoption import EndedClaim, OpenClaim, adopt_call, parse_replay, replay_call
from enforcement.calls import Life, parse_reply
from enforcement.control import Control
from enforcement.control_client import ControlClient
from enforcement.decisions import Refused, Settlement
from enforcement.errors import ShardClosed
from enforcement.hold_calls import HoldRef, settle_call
from enforcement.keys import shard_key
from enforcement.policies import KeyPolicy
from enforcement.rebuild import Patience, Rebuilder
from enforcement.shard_records import read_records, reason_to_rebuild
from enforcement.sweeper import Sweeper
from tests.enforcement.desk import ACME, TOTAL, Desk, draw
from tests.enforcement.ledger_stub import LedgerStub

pytestmark = pytest.mark.chaos
SHARD = ACME.shard
LATER_MS = 2**50


class Machine:
    """One Valkey with a proxy's, a control plane's and a recorder's view of it."""

    def __init__(self, home: Path) -> None:
        self.valkey = Valkey(home)
        self.valkey.start("--appendfsync", "always")
        self.ledger = LedgerStub(ACME, limits={"bud_a": 5_000})
        self.connect()
        self.control.ensure_open(ACME)
        self.control.load_new_budget(ACME, budget_id="bud_a", limit_nanousd=5_000, version=1)
        self.desk = Desk(self.redis)
        self.desk.open_shard(epoch=1)

    def connect(self) -> None:
        self.redis = redis.Redis.from_url(self.valkey.url)
        self.client = ControlClient(self.valkey.url)
        self.control = Control(self.valkey.url)
        patience = Patience(adopt_ms=20_000, carried_lease_ms=0)
        self.rebuilder = Rebuilder(self.client, self.ledger, patience)

    def save(self) -> None:
        shutil.copytree(self.valkey.home / "appendonlydir", self.valkey.home / "saved")

    def restore(self) -> None:
        """Kill the process and bring it back on the file saved before."""
        self.close()
        self.valkey.kill()
        shutil.rmtree(self.valkey.home / "appendonlydir")
        shutil.move(self.valkey.home / "saved", self.valkey.home / "appendonlydir")
        self.valkey.start("--appendfsync", "always")
        self.connect()

    def advance(self) -> list[int]:
        return self.rebuilder.advance(self.rebuilder.look([SHARD]).closed, now_ms=LATER_MS).opened

    def resume_desk(self) -> Desk:
        desk = Desk.__new__(Desk)
        desk.redis, desk.scope, desk.epoch, desk.numbers = self.redis, ACME, 2, self.desk.numbers
        desk.run_id = str(desk.redis.info("server")["run_id"])
        return desk

    def close(self) -> None:
        for link in (self.redis, self.client, self.control):
            link.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.close()
    machine.valkey.stop()


def open_claim(ref: HoldRef) -> OpenClaim:
    return OpenClaim(
        scope=ACME, hold_id=ref.hold_id, state="dispatched", attempt="attempt-1", request_id="req_1",
        cost_nanousd=1000, charge_nanousd=1000, output_cap=90, draws=ref.draws, body=b"{}",
    )  # fmt: skip


def ended_claim(ref: HoldRef, cost_nanousd: int) -> EndedClaim:
    return EndedClaim(
        scope=ACME, hold_id=ref.hold_id, kind="settled", number=0, basis="reported", cost_nanousd=cost_nanousd,
        charge_nanousd=cost_nanousd, draws=ref.draws, body=b"{}",
    )  # fmt: skip


def test_a_restored_file_is_closed_to_everybody(machine: Machine) -> None:
    desk = machine.desk
    ref, _ = desk.sent(draw("bud_a"))
    machine.save()
    desk.settle(ref, 1000)
    machine.restore()
    record = read_records(machine.client, [SHARD])[0]
    assert record.state == "open"  # so says the file
    assert reason_to_rebuild(record, machine.ledger.mark) == "other_server"
    with pytest.raises(ShardClosed):
        machine.control.read_budget(ACME, "bud_a")
    with pytest.raises(ShardClosed):
        machine.client.run_in_life(settle_call(ref, _settlement(1)), epoch=1)
    report = Sweeper(machine.client).sweep([SHARD])
    assert report.expired == 0


def test_a_script_on_a_connection_of_the_older_life_is_closed(machine: Machine) -> None:
    desk = machine.desk
    ref, _ = desk.sent(draw("bud_a"))
    machine.save()
    machine.restore()
    call = settle_call(ref, _settlement(1))
    # A connection made since the restart knows the new process, whatever the file says.
    new_life = Life(str(machine.redis.info("server")["run_id"]), 1)
    with pytest.raises(ShardClosed):
        parse_reply(machine.redis.eval(call.script.text, *call.parts(new_life)))


def test_everything_is_counted_once_after_a_restore(machine: Machine) -> None:
    """Each of five calls stood at another point when the file was saved, lost and brought back."""
    desk, ledger, control = machine.desk, machine.ledger, machine.control
    key = KeyPolicy("key_1", ACME.tenant_id, "test", "server")
    control.publish_key(key, digest="d1", version=2)
    recorded, _ = desk.sent(draw("bud_a"))  # settled and recorded after the save
    unrecorded, _ = desk.sent(draw("bud_a"))  # settled after the save, never recorded; its proxy lives
    running, _ = desk.sent(draw("bud_a"))  # still running; its proxy lives
    orphan, _ = desk.sent(draw("bud_a"))  # still running; its proxy dies
    machine.save()
    desk.settle(recorded, 310)
    ledger.record(machine.redis)
    newcomer, _ = desk.sent(draw("bud_a"))  # reserved after the save; its proxy lives
    desk.settle(unrecorded, 420)
    ledger.keys = {"d1": (KeyPolicy("key_1", ACME.tenant_id, "test", "server", state="revoked"), 3)}
    machine.restore()

    assert machine.advance() == []
    desk = machine.resume_desk()
    for ref in (running, newcomer):
        machine.client.run_in_life(adopt_call(open_claim(ref), lease_ms=30_000), epoch=2)
    for ref, cost_nanousd in ((recorded, 310), (unrecorded, 420)):
        assert parse_replay(machine.client.run_in_life(replay_call(ended_claim(ref, cost_nanousd)), epoch=2))
    assert machine.advance() == []  # the replayed ends wait to be recorded
    assert ledger.record(machine.redis) == 1  # one of them was a row already
    assert machine.advance() == [SHARD]

    assert b"revoked" in machine.redis.hget(ACME.key_policy("d1"), "body")
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (730, 3000)
    refused = desk.reserve(desk.reservation(draw("bud_a"), cap=4000, minimum=4000))
    assert isinstance(refused, Refused)
    assert desk.settle(running, 100)
    assert desk.settle(newcomer, 200)
    assert Sweeper(machine.client).sweep_shard(SHARD).expired == 1  # the orphan, at its quote
    assert desk.hold(orphan)["state"] == "expired"
    assert (desk.spent("bud_a"), desk.held("bud_a")) == (310 + 420 + 100 + 200 + 1000, 0)
    ledger.record(machine.redis)
    assert ledger.sums("bud_a") == {TOTAL.window_id: desk.spent("bud_a")}
    assert len(ledger.rows) == 5


def test_a_restart_without_loss_keeps_holds_and_sums(machine: Machine) -> None:
    desk, ledger = machine.desk, machine.ledger
    ref, _ = desk.sent(draw("bud_a"))
    settled, _ = desk.sent(draw("bud_a"))
    desk.settle(settled, 310)
    machine.close()
    machine.valkey.kill()
    machine.valkey.start("--appendfsync", "always")
    machine.connect()
    assert machine.advance() == []
    assert machine.advance() == []  # what is on the stream must be recorded first
    ledger.record(machine.redis)
    assert machine.advance() == [SHARD]
    desk = machine.resume_desk()
    assert (desk.spent("bud_a"), desk.held("bud_a"), desk.hold(ref)["epoch"]) == (310, 1000, "2")
    assert machine.redis.hget(shard_key(SHARD), "state") == b"open"


def _settlement(cost_nanousd: int) -> Settlement:
    return Settlement(cost_nanousd=cost_nanousd, charge_nanousd=cost_nanousd, basis="reported", body=b"{}")
