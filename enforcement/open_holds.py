"""What a proxy remembers of its holds: the open ones, and the ends the recorder has not committed yet.

Both outlive Redis here: after a rebuild the former are adopted into the new epoch and the latter replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from enforcement.adoption import EndedClaim, OpenClaim
from enforcement.calls import BookedDraw, Call, Reply
from enforcement.decisions import Granted, Reservation, Settlement
from enforcement.hold_calls import (
    HoldRef,
    distinct_draws,
    distinct_rates,
    expire_call,
    flights_of,
    release_call,
    settle_call,
)
from enforcement.hold_replies import Booking

HoldState = Literal["reserved", "dispatched"]


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
    since_s: float = 0.0  # of the event loop's clock, as below
    given_up_s: float | None = None  # left unresolved then; a late end may still come
    ended_s: float = 0.0  # when its last end was asked for


class Ending(msgspec.Struct, frozen=True):
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


class Unrecorded(msgspec.Struct, frozen=True):
    """An end that is not known to be a row yet."""

    seq: int
    claim: EndedClaim
    ending: Ending


@dataclass(slots=True)
class ShardMemory:
    """What is known of one shard: its epoch, how far it and its recorder are, and the ends not recorded yet."""

    shard: int
    epoch: int = 0  # 0 = not met yet
    seq: int = 0
    recorded: int = 0
    unrecorded: deque[Unrecorded] = field(default_factory=deque)  # of this epoch, by rising seq

    def note(self, reply: Reply) -> None:
        """Take in what a reply began with."""
        if reply.epoch == self.epoch:
            self.seq = max(self.seq, reply.seq)
            self.note_recorded(reply.recorded)

    def note_recorded(self, recorded: int) -> None:
        """Forget the ends that are rows by now."""
        self.recorded = max(self.recorded, recorded)
        while self.unrecorded and self.unrecorded[0].seq <= self.recorded:
            self.unrecorded.popleft()

    def remember(self, end: Unrecorded) -> None:
        """Keep an end until the recorder has passed it."""
        if end.seq > self.recorded:
            self.unrecorded.append(end)

    def enter(self, epoch: int, ends: Iterable[Unrecorded] = ()) -> None:
        """Begin a new epoch, with the ends that were replayed into it."""
        self.epoch, self.seq, self.recorded = epoch, 0, 0
        self.unrecorded = deque(ends)


def open_hold_of(reservation: Reservation, granted: Granted, *, since_s: float) -> OpenHold:
    """What to remember of a grant."""
    return OpenHold(
        ref=_ref_of(reservation, tuple(BookedDraw(*draw) for draw in granted.draws)),
        attempt=reservation.attempt,
        request_id=reservation.request_id,
        output_cap=granted.output_cap,
        cost_nanousd=granted.cost_nanousd,
        charge_nanousd=granted.charge_nanousd,
        body=reservation.body,
        deadline_ms=granted.deadline_ms,
        since_s=since_s,
    )


def forsaken_hold_of(reservation: Reservation) -> OpenHold:
    """What to release where a reserve may have been granted and its reply was lost; the amounts are Redis's."""
    draws = distinct_draws(reservation)
    return OpenHold(
        ref=_ref_of(
            reservation,
            tuple(BookedDraw(draw.budget_id, draw.window.window_id, draw.measure) for draw in draws),
        ),
        attempt=reservation.attempt,
        request_id=reservation.request_id,
        output_cap=reservation.output_cap,
        cost_nanousd=0,
        charge_nanousd=0,
        body=reservation.body,
    )


def claim_of(hold: OpenHold) -> OpenClaim:
    """What a shard in a new epoch must be told of an open hold."""
    return OpenClaim(
        scope=hold.ref.scope,
        hold_id=hold.ref.hold_id,
        state=hold.state,
        attempt=hold.attempt,
        request_id=hold.request_id,
        cost_nanousd=hold.cost_nanousd,
        charge_nanousd=hold.charge_nanousd,
        output_cap=hold.output_cap,
        draws=hold.ref.draws,
        body=hold.body,
        in_flight_limits=hold.ref.flights,
        idempotency_digest=hold.ref.idempotency,
    )


def ended_claim_of(ending: Ending, booking: Booking) -> EndedClaim:
    """The event an end appended, from what its reply says: a replay appends the very same."""
    ref = ending.hold.ref
    return EndedClaim(
        scope=ref.scope,
        hold_id=ref.hold_id,
        kind=booking.kind,
        number=booking.number,
        basis=ending.basis,
        cost_nanousd=booking.cost_nanousd,
        charge_nanousd=booking.charge_nanousd,
        draws=ref.draws,
        body=ending.event_body,
        corrects=f"{ref.hold_id}.expired.0" if booking.kind == "correction" else "",
        in_flight_limits=ref.flights,
        idempotency_digest=ref.idempotency,
    )


def _ref_of(reservation: Reservation, draws: tuple[BookedDraw, ...]) -> HoldRef:
    idempotency = reservation.idempotency
    return HoldRef(
        scope=reservation.scope,
        hold_id=reservation.hold_id,
        draws=draws,
        flights=flights_of(distinct_rates(reservation)),
        idempotency=idempotency.digest if idempotency else "",
    )
