"""What the simulator remembers: one book for each account and mode, and the world they share."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from simulators.stripe.access import Keys
from simulators.stripe.clock import Clock
from simulators.stripe.knobs import Fault, Knobs
from simulators.stripe.refusals import missing

# Stripe's objects are JSON whose fields differ by kind and version, so their values have no one type.
Obj = dict[str, Any]
_NOUNS = {
    "meters": "billing meter", "subscription_items": "subscription item", "payment_intents": "payment_intent",
    "sessions": "checkout.session", "endpoints": "webhook endpoint", "credit_grants": "credit grant",
    "invoiceitems": "invoiceitem", "destinations": "event destination",
}  # fmt: skip


@dataclass(slots=True)
class Usage:
    """One meter event as received, and what became of it."""

    event_name: str
    customer: str
    identifier: str
    value: Decimal | None
    timestamp_s: int
    received_s: float
    seq: int
    payload: dict[str, str]
    idempotency_key: str | None
    meter: str | None = None
    state: str = "pending"  # pending, counted, rejected, cancelled
    code: str = ""
    counted_s: float = 0.0


@dataclass(slots=True)
class Saved:
    """An answer kept under an idempotency key."""

    fingerprint: str
    status: int
    body: bytes
    request_id: str
    saved_s: float
    done: bool = True


@dataclass(slots=True)
class Book:
    """Everything of one account in one mode."""

    account: str
    livemode: bool
    connected: bool = False
    tables: dict[str, dict[str, Obj]] = field(default_factory=lambda: defaultdict(dict))
    usage: list[Usage] = field(default_factory=list)
    pending: list[Usage] = field(default_factory=list)
    by_pair: dict[tuple[str, str], list[Usage]] = field(default_factory=lambda: defaultdict(list))
    by_identifier: dict[str, Usage] = field(default_factory=dict)
    identifiers: dict[str, float] = field(default_factory=dict)
    saved: dict[str, Saved] = field(default_factory=dict)
    events: dict[str, Obj] = field(default_factory=dict)
    thin_events: dict[str, Obj] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    duplicates: int = 0

    def put(self, table: str, record: Obj) -> Obj:
        """Keep an object under its id."""
        self.tables[table][record["id"]] = record
        return record

    def find(self, table: str, name: object, *, param: str = "id") -> Obj:
        """Find an object, or refuse the request that names it."""
        found = self.tables[table].get(str(name))
        if found is None:
            raise missing(_NOUNS.get(table, table.removesuffix("s")), name, param=param)
        return found

    def all(self, table: str) -> list[Obj]:
        """List a table, newest first."""
        return list(reversed(self.tables[table].values()))


class World:
    """The clock, the keys, the knobs and every book."""

    def __init__(self, keys: list[str]) -> None:
        self._given_keys = keys
        self.clock = Clock()
        # Where people pay; empty: at Stripe's own address, as its sessions say.
        self.pays_at = ""
        self.send: Callable[[Book, Obj, Obj], None] = lambda _book, _endpoint, _event: None
        self.reset()

    def reset(self) -> None:
        """Empty everything but the keys given at start."""
        self.clock.reset()
        self.keys = Keys(self._given_keys)
        self.knobs = Knobs()
        self.faults: list[Fault] = []
        self.books: dict[tuple[str, bool], Book] = {}
        self.sessions: dict[str, tuple[Book, float]] = {}
        self.log: list[Obj] = []
        self.deliveries: list[Obj] = []
        self.held: list[tuple[Book, Obj, Obj]] = []
        self.busy: set[tuple[str, bool, str, str]] = set()
        self.seq = 0

    def book(self, account: str, *, livemode: bool) -> Book:
        """Find the book of an account in one mode."""
        found = self.books.get((account, livemode))
        if found is None:
            connected = account in self.keys.connected
            found = self.books[(account, livemode)] = Book(account, livemode, connected)
        return found

    def take_seq(self) -> int:
        """Number what arrives."""
        self.seq += 1
        return self.seq


def make_id(prefix: str) -> str:
    """Make an id as Stripe's look."""
    return f"{prefix}_{secrets.token_hex(12)}"
