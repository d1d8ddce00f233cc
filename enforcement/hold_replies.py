"""What the hold scripts' replies mean, as the values of ``decisions``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from enforcement.calls import Reply, parse_draws
from enforcement.decisions import (
    AlreadyDone,
    AlreadyEnded,
    BudgetState,
    Crowded,
    Ended,
    EndOutcome,
    Granted,
    InProgress,
    NotLoaded,
    OtherBody,
    Overloaded,
    RateLimited,
    Refused,
    Replayed,
    Reservation,
    ReserveOutcome,
    Stale,
    Turned,
    Unknown,
    UnknownCustomer,
)
from enforcement.errors import EnforcementUnavailable
from enforcement.hold_calls import distinct_draws, distinct_rates
from enforcement.policies import Measure

# Open holds end at any moment; a second is the shortest a Retry-After header can say.
CROWDED_RETRY_MS = 1000

_Reading = Callable[[Reply, Reservation], ReserveOutcome]


def read_reserve(reply: Reply, reservation: Reservation) -> ReserveOutcome:
    """Read what ``reserve`` decided. Raises: EnforcementUnavailable for a status nobody knows."""
    reading = _READINGS.get(reply.status)
    if reading is None:
        raise EnforcementUnavailable(f"reserve answered {reply.status!r}, which this version does not know")
    return reading(reply, reservation)


@dataclass(frozen=True, slots=True)
class Booking:
    """The event that an end appended: the row it will be."""

    seq: int
    kind: str
    number: int
    cost_nanousd: int
    charge_nanousd: int


def read_end(reply: Reply, hold_id: str, held: tuple[int, int]) -> tuple[EndOutcome, Booking | None]:
    """Read how ``settle`` or ``release`` went, and what it (or an earlier try of it) booked.

    Raises: EnforcementUnavailable for a status nobody knows.
    """
    if reply.status == "unknown":
        return Unknown(hold_id), None
    if reply.status == "already_ended":
        _, corrections, cost, charge = reply.rest
        state = reply.text(0)
        booked = Booking(reply.seq, state, 0, cost, charge)
        if corrections:
            booked = Booking(reply.seq, "correction", corrections - 1, cost - held[0], charge - held[1])
        return AlreadyEnded(state), booked if corrections <= 1 else None
    if reply.status != "ended":
        raise EnforcementUnavailable(f"an ending answered {reply.status!r}, which this version does not know")
    remaining, _, cost, charge, number = reply.rest
    kind = reply.text(1)
    booking = Booking(reply.seq, kind, number, cost, charge) if kind else None
    return Ended(corrected=kind == "correction", remaining_nanousd=remaining), booking


def read_left(reply: Reply, hold_id: str, held: tuple[int, int]) -> tuple[EndOutcome, Booking | None]:
    """Read what a forced ``expire`` of one hold did. Raises: EnforcementUnavailable when its records are others."""
    ((outcome, seq),) = read_expired(reply)
    if outcome == "absent":
        return Unknown(hold_id), None
    if outcome == "mismatch":
        raise EnforcementUnavailable(f"hold {hold_id} draws on other budgets than its proxy says")
    state = outcome.removesuffix("_before")
    booking = Booking(seq or reply.seq, "expired", 0, *held) if state == "expired" else None
    return Ended(corrected=False) if outcome == "expired" else AlreadyEnded(state), booking


def read_expired(reply: Reply) -> tuple[tuple[str, int], ...]:
    """Read what ``expire`` did with each hold: the outcome, and the seq of its event (0 = none)."""
    return tuple((reply.text(place), reply.rest[place + 1]) for place in range(0, len(reply.rest), 2))


def _granted(reply: Reply, reservation: Reservation) -> Granted:
    deadline_ms, output_cap, cost, charge, clamped, remaining, _ = reply.rest
    return Granted(
        hold_id=reservation.hold_id,
        deadline_ms=deadline_ms,
        output_cap=output_cap,
        cost_nanousd=cost,
        charge_nanousd=charge,
        clamped=bool(clamped),
        remaining_nanousd=remaining,
        draws=_booked(reply.text(6)),
    )


def _replayed(reply: Reply, reservation: Reservation) -> Replayed:
    _, same_attempt, deadline_ms, output_cap, cost, charge, _ = reply.rest
    granted = Granted(
        hold_id=reservation.hold_id,
        deadline_ms=deadline_ms,
        output_cap=output_cap,
        cost_nanousd=cost,
        charge_nanousd=charge,
        clamped=output_cap < reservation.output_cap,
        remaining_nanousd=0,
        draws=_booked(reply.text(6)),
    )
    return Replayed(reply.text(0), bool(same_attempt), granted if same_attempt else None)


def _budget_state(reply: Reply, reservation: Reservation) -> BudgetState:
    number, limit, spent, held, needed, window_end_ms = reply.rest
    budget_id = distinct_draws(reservation)[number - 1].budget_id
    return BudgetState(budget_id, limit, spent, held, needed, window_end_ms)


def _refused(reply: Reply, reservation: Reservation) -> Refused:
    return Refused(_budget_state(reply, reservation))


def _crowded(reply: Reply, reservation: Reservation) -> Crowded:
    return Crowded(_budget_state(reply, reservation), CROWDED_RETRY_MS)


def _limited(reply: Reply, reservation: Reservation) -> RateLimited:
    limit_id = distinct_rates(reservation)[reply.rest[0] - 1].limit_id
    return RateLimited(limit_id, cast("Literal['requests', 'in_flight']", reply.text(1)), reply.rest[2])


def _stale(reply: Reply, reservation: Reservation) -> Stale:
    return Stale(tuple(reservation.judged[number - 1].policy_key for number in reply.rest))


def _not_loaded(reply: Reply, reservation: Reservation) -> NotLoaded:
    return NotLoaded(distinct_draws(reservation)[reply.rest[0] - 1].budget_id)


_CustomerReason = Literal["index_incomplete", "too_many", "no_default", "known"]


def _unknown_customer(reply: Reply, _: Reservation) -> UnknownCustomer:
    return UnknownCustomer(cast("_CustomerReason", reply.text(0)), reply.rest[1])


def _booked(text: str) -> tuple[tuple[str, str, Measure], ...]:
    return tuple(
        (draw.budget_id, draw.window_id, cast("Measure", draw.measure)) for draw in parse_draws(text)
    )


_READINGS: dict[str, _Reading] = {
    "granted": _granted,
    "replayed": _replayed,
    "refused": _refused,
    "crowded": _crowded,
    "limited": _limited,
    "stale": _stale,
    "not_loaded": _not_loaded,
    "unknown_customer": _unknown_customer,
    "turned": lambda reply, _: Turned(reply.now_ms),
    "in_progress": lambda reply, _: InProgress(reply.text(0)),
    "already_done": lambda reply, _: AlreadyDone(reply.text(0), reply.rest[1]),
    "other_body": lambda reply, _: OtherBody(reply.text(0)),
    "overloaded": lambda reply, _: Overloaded(reply.text(0)),
}
