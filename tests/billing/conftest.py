"""A recorder on real servers, and a hand to append what the scripts would append."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from django.db import connections

from billing.ledger.books import Books
from billing.ledger.feed import Feed
from billing.ledger.overload import Watermarks
from billing.ledger.recorder import Recorder
from billing.management.commands.recorder import books_parameters
from enforcement.control_client import ControlClient
from enforcement.keys import dead_letters_key, shard_key, usage_key
from metering.events import EventBody, encode_body
from metering.ids import make_event_id, make_hold_id, shard_of

ACME, GLOBEX = "ten_acme000000000000", "ten_globex0000000000"
STARTED_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z


def sql(statement: str, *parameters: object, alias: str = "default") -> list[tuple[Any, ...]]:
    """Run a statement as the app (or another role) and return its rows."""
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def body_of(**changes: object) -> bytes:
    """An event body as the proxy writes it."""
    given: dict[str, Any] = {
        "request_id": "req_1", "attempt": 1, "key_id": "key_1", "customer_id": "cus_1", "account_id": "acc_1",
        "provider": "openai", "dialect": "openai", "model": "gpt-4o-mini", "price_id": "pri_1",
        "bound_class": "exact", "quoted_input_tokens": 100, "started_ms": STARTED_MS, "ended_ms": STARTED_MS + 900,
        "quote_cost_nanousd": 9_000, "quote_charge_nanousd": 9_900, "output_cap": 64, "end": "complete",
        "upstream_status": 200, "usage": {"input": 90, "output": 12}, "tags": {"feature": "search"},
    }  # fmt: skip
    return encode_body(EventBody(**{**given, **changes}))


@dataclass
class Streams:
    """Appends to the streams as the scripts do, with positions that grow."""

    client: redis.Redis
    epoch: int = 1
    numbers: Iterator[int] = field(default_factory=itertools.count)
    seqs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def open(self, *tenants: str) -> None:
        record = {"state": "open", "epoch": self.epoch, "run_id": self.client.info("server")["run_id"]}
        for tenant_id in tenants or (ACME, GLOBEX):
            self.client.hset(shard_key(shard_of(tenant_id)), mapping=record)

    def hold_id(self, born_ms: int = STARTED_MS) -> str:
        return make_hold_id(born_ms, next(self.numbers))

    def append(self, tenant_id: str = ACME, *, dead: bool = False, **changes: Any) -> str:
        """Append one event and return its id."""
        hold_id = changes.pop("hold_id", None) or self.hold_id()
        kind = changes.get("kind", "settled")
        seq = next(self.seqs)
        fields: dict[str, Any] = {
            "v": 1, "event_id": make_event_id(hold_id, kind, changes.pop("number", 0)), "kind": kind,
            "basis": "reported", "hold_id": hold_id, "tenant_id": tenant_id, "mode": "test", "cost": 1_000,
            "charge": 1_100, "epoch": self.epoch, "seq": seq, "at_ms": STARTED_MS + 1_000, "corrects": "",
            "draws": "bud_c:month-1793491200:charge,bud_t:day-1794960000:cost", "body": body_of(),
        }  # fmt: skip
        fields.update(changes)
        shard = shard_of(tenant_id)
        self.client.xadd((dead_letters_key if dead else usage_key)(shard), fields)
        self.client.hset(shard_key(shard), mapping={"seq": seq, "last_event_seq": seq})
        return str(fields["event_id"])


@pytest.fixture
def streams(redis_client: redis.Redis) -> Streams:
    """The streams of an emptied Redis whose shards are open."""
    streams = Streams(redis_client)
    streams.open()
    return streams


@pytest.fixture
def make_recorder(redis_url: str, transactional_db: None) -> Iterator[Callable[..., Recorder]]:
    """A maker of recorders, each with connections of its own."""
    made: list[Recorder] = []
    clients: list[ControlClient] = []

    def make(**changes: Any) -> Recorder:
        clients.append(ControlClient(redis_url))
        given: dict[str, Any] = {"shards": range(256), "watermarks": Watermarks()}
        made.append(Recorder(Books(books_parameters()), Feed(clients[-1]), **{**given, **changes}))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()
    for client in clients:
        client.close()


@pytest.fixture
def recorder(make_recorder: Callable[..., Recorder]) -> Recorder:
    """A recorder of every shard."""
    return make_recorder()
