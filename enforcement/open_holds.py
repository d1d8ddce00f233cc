"""What a proxy remembers of its holds: the open ones, and the ends the recorder has not committed yet.

Both outlive Redis here: after a rebuild the former are adopted into the new epoch and the latter replayed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from enforcement.calls import BookedDraw, Call, Reply
from enforcement.decisions import Granted, Reservation, Settlement
from enforcement.hold_calls import HoldRef, distinct_rates, expire_call, flights_of, release_call, settle_call
from enforcement.hold_replies import Booking
from enforcement.keys import Scope

HoldState = Literal["reserved", "dispatched", "ended"]


@dataclass(slots=True)
class OpenHold:
    """One hold of this proxy, with all that its record says, so that the record can be made again."""

    ref: HoldRef
    attempt: str
    request_id: str
    output_cap: int
    cost_nanousd: int
    charge_nanousd: int
    body: bytes
    state: HoldState = "reserved"
    deadline_ms: int = 0
    given_up_s: float | None = (
        None  # left unresolved at this instant of the loop's clock; a late end may still come
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEvent:
    """The row-to-be that an end appended, field by field: a replay appends the very same."""

    scope: Scope
    hold_id: str
    kind: str
    number: int
    basis: str
    cost_nanousd: int
    charge_nanousd: int
    draws: tuple[BookedDraw, ...]
    body: bytes

    @property
    def event_id(self) -> str:
        """The row's id."""
        return f"{self.hold_id}.{self.kind}.{self.number}"

    @property
    def corrects(self) -> str:
        """The event that a correction corrects; empty for every other kind."""
        return f"{self.hold_id}.expired.0" if self.kind == "correction" else ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a hold is to end: settled when there is a settlement, else released, or left unresolved at its quote."""

    hold: OpenHold
    settlement: Settlement | None = None
    body: bytes = b""
    is_unresolved: bool = False
    is_certain: bool = True  # False: its reserve may never have arrived

    def call(self) -> Call:
        """The script that ends it."""
        ref = self.hold.ref
        if self.settlement is not None:
            return settle_call(ref, self.settlement)
        if self.is_unresolved:
            return expire_call(ref.scope.shard, (ref,), is_forced=True, body=self.body)
        return release_call(ref, body=self.body, is_certain=self.is_certain)

    @property
    def basis(self) -> str:
        """What the row's amounts rest on."""
        if self.settlement is not None:
            return self.settlement.basis
        return "unresolved" if self.is_unresolved else "none"

    @property
    def event_body(self) -> bytes:
        """The row's body: the one given, else the hold's own, as the scripts do."""
        return self.settlement.body if self.settlement else self.body or self.hold.body


@dataclass(slots=True)
class ShardMemory:
    """What is known of one shard: its epoch, how far it and its recorder are, and the ends not recorded yet."""

    shard: int
    epoch: int = 0  # 0 = not met yet
    seq: int = 0
    recorded: int = 0
    unrecorded: deque[tuple[int, EndEvent]] = field(
        default_factory=deque
    )  # with their seq, in this epoch, rising

    def note(self, reply: Reply) -> None:
        """Take in what a reply began with."""
        if reply.epoch == self.epoch:
            self.seq = max(self.seq, reply.seq)
            self.note_recorded(reply.recorded)

    def note_recorded(self, recorded: int) -> None:
        """Forget the ends that are rows by now."""
        self.recorded = max(self.recorded, recorded)
        while self.unrecorded and self.unrecorded[0][0] <= self.recorded:
            self.unrecorded.popleft()

    def remember(self, seq: int, event: EndEvent) -> None:
        """Keep an end until the recorder has passed it."""
        if seq > self.recorded:
            self.unrecorded.append((seq, event))

    def enter(self, epoch: int) -> None:
        """Begin a new epoch, in which nothing has been seen yet."""
        self.epoch, self.seq, self.recorded = epoch, 0, 0
        self.unrecorded.clear()


def open_hold_of(reservation: Reservation, granted: Granted) -> OpenHold:
    """What to remember of a grant."""
    idempotency = reservation.idempotency
    return OpenHold(
        ref=HoldRef(
            scope=reservation.scope,
            hold_id=granted.hold_id,
            draws=tuple(BookedDraw(*draw) for draw in granted.draws),
            flights=flights_of(distinct_rates(reservation)),
            idempotency=idempotency.digest if idempotency else "",
        ),
        attempt=reservation.attempt,
        request_id=reservation.request_id,
        output_cap=granted.output_cap,
        cost_nanousd=granted.cost_nanousd,
        charge_nanousd=granted.charge_nanousd,
        body=reservation.body,
        deadline_ms=granted.deadline_ms,
    )


def end_event_of(ending: Ending, booking: Booking) -> EndEvent:
    """The event an end appended, from what its reply says."""
    ref = ending.hold.ref
    return EndEvent(
        scope=ref.scope,
        hold_id=ref.hold_id,
        kind=booking.kind,
        number=booking.number,
        basis=ending.basis,
        cost_nanousd=booking.cost_nanousd,
        charge_nanousd=booking.charge_nanousd,
        draws=ref.draws,
        body=ending.event_body,
    )
