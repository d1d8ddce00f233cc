"""The hold scripts as calls: which keys and arguments each takes, in the order of the contract that opens its file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from enforcement.calls import (
    HOLDS_PER_CALL_MAX,
    TOMBSTONE_ENDED_MS,
    TOMBSTONE_EXPIRED_MS,
    Argument,
    BookedDraw,
    Call,
    Script,
    format_draws,
)
from enforcement.decisions import Draw, FirstSeen, Reservation, Settlement
from enforcement.keys import Scope, arrivals_key, dead_letters_key, deadlines_key, usage_key, wanted_key
from enforcement.policies import RateLimit
from metering.ids import external_digest
from metering.quote import Amounts

RESERVE = Script("reserve")
DISPATCHED = Script("dispatched")
SETTLE = Script("settle")
RELEASE = Script("release")
EXPIRE = Script("expire")
RENEW = Script("renew")

IDEMPOTENCY_MS = 24 * 3600 * 1000
# How long past its deadline an entry still counts as in flight: time for the sweeper to end its hold properly.
FLIGHT_GRACE_MS = 30_000
MINUTE_US = 60_000_000


class HoldRef(msgspec.Struct, frozen=True):
    """What a script must be told to end a hold: its name and every record it stands in."""

    scope: Scope
    hold_id: str
    draws: tuple[BookedDraw, ...]
    flights: tuple[str, ...] = ()  # in-flight limits
    idempotency: str = ""  # digest, empty where the call carried none

    @property
    def flight_keys(self) -> tuple[str, ...]:
        """The in-flight limits' keys."""
        return tuple(self.scope.in_flight(limit_id) for limit_id in self.flights)

    @property
    def keys(self) -> tuple[str, ...]:
        """The hold's key, then its budgets', its in-flight limits', its Idempotency-Key's."""
        return (
            self.scope.hold(self.hold_id),
            *(self.scope.budget(draw.budget_id) for draw in self.draws),
            *self.flight_keys,
            *((self.scope.idempotency(self.idempotency),) if self.idempotency else ()),
        )


def reserve_call(reservation: Reservation, *, ttl_ms: int) -> Call:
    """Judge a reservation. A budget or a rate limit named twice counts once."""
    scope = reservation.scope
    draws = distinct_draws(reservation)
    rates = distinct_rates(reservation)
    idempotency = reservation.idempotency
    args: list[Argument] = [
        reservation.hold_id,
        reservation.attempt,
        reservation.request_id,
        scope.tenant_id,
        scope.mode,
        ttl_ms,
        reservation.output_cap,
        reservation.output_minimum,
        int(reservation.cap_is_ours),
        int(reservation.may_clamp),
        *_amounts(reservation.cost),
        *_amounts(reservation.charge),
        reservation.body,
        *((idempotency.digest, idempotency.body_digest) if idempotency else ("", "")),
        IDEMPOTENCY_MS,
        FLIGHT_GRACE_MS,
        len(draws),
        len(reservation.judged),
        len(rates),
        *_first_seen(reservation.first_seen, draws),
        ",".join(flights_of(rates)),
    ]
    for draw in draws:
        args += _draw(draw)
    args += [judged.version for judged in reservation.judged]
    for rate in rates:
        args += _rate(rate)
    return Call(RESERVE, scope.shard, _reserve_keys(reservation, draws, rates), tuple(args))


def dispatched_call(ref: HoldRef, *, attempt: str, lease_ms: int) -> Call:
    """Mark a hold as sent."""
    shard = ref.scope.shard
    keys = (deadlines_key(shard), ref.scope.hold(ref.hold_id), *ref.flight_keys)
    return Call(DISPATCHED, shard, keys, (ref.hold_id, attempt, lease_ms))


def settle_call(ref: HoldRef, settlement: Settlement) -> Call:
    """Replace a hold by what its call cost."""
    amounts = (settlement.cost_nanousd, settlement.charge_nanousd, settlement.basis)
    return _ending_call(SETTLE, ref, settlement.body, *amounts)


def release_call(ref: HoldRef, *, body: bytes = b"", is_certain: bool = True) -> Call:
    """End a hold at nothing. Uncertain means its reserve may never have arrived: then there is nothing to report."""
    return _ending_call(RELEASE, ref, body, int(is_certain))


def expire_call(shard: int, refs: Sequence[HoldRef], *, is_forced: bool = False, body: bytes = b"") -> Call:
    """End up to 100 holds whose deadline has passed; forced, whatever the deadline."""
    assert len(refs) <= HOLDS_PER_CALL_MAX
    keys = [deadlines_key(shard), usage_key(shard)]
    args: list[Argument] = [TOMBSTONE_EXPIRED_MS, TOMBSTONE_ENDED_MS, int(is_forced), body]
    for ref in refs:
        keys += ref.keys
        args += [ref.hold_id, len(ref.keys), len(ref.flights)]
    return Call(EXPIRE, shard, tuple(keys), tuple(args))


def renew_call(shard: int, refs: Sequence[HoldRef], *, lease_ms: int) -> Call:
    """Push back the deadlines of up to 100 dispatched holds."""
    assert len(refs) <= HOLDS_PER_CALL_MAX
    keys = [deadlines_key(shard)]
    args: list[Argument] = [lease_ms]
    for ref in refs:
        keys += [ref.scope.hold(ref.hold_id), *ref.flight_keys]
        args += [ref.hold_id, 1 + len(ref.flights)]
    return Call(RENEW, shard, tuple(keys), tuple(args))


def distinct_draws(reservation: Reservation) -> tuple[Draw, ...]:
    """The budgets drawn on, each once: judged twice against the same room, one could be overspent."""
    return tuple({draw.budget_id: draw for draw in reservation.draws}.values())


def distinct_rates(reservation: Reservation) -> tuple[RateLimit, ...]:
    """The rate limits that limit anything, each once."""
    rates = {rate.limit_id: rate for rate in reservation.rates}
    return tuple(rate for rate in rates.values() if rate.requests_per_minute or rate.in_flight_max)


def flights_of(rates: Iterable[RateLimit]) -> tuple[str, ...]:
    """The limits a call stands in while it is in flight."""
    return tuple(rate.limit_id for rate in rates if rate.in_flight_max)


def _ending_call(script: Script, ref: HoldRef, body: bytes, *amounts: Argument) -> Call:
    shard = ref.scope.shard
    keys = (deadlines_key(shard), usage_key(shard), dead_letters_key(shard), *ref.keys)
    args = (ref.hold_id, ref.scope.tenant_id, ref.scope.mode, format_draws(ref.draws), len(ref.flights))
    return Call(script, shard, keys, (*args, TOMBSTONE_ENDED_MS, body, *amounts))


def _reserve_keys(
    reservation: Reservation, draws: Sequence[Draw], rates: Sequence[RateLimit]
) -> tuple[str, ...]:
    scope = reservation.scope
    shard = scope.shard
    keys = [deadlines_key(shard), scope.hold(reservation.hold_id), wanted_key(shard)]
    keys += [scope.budget(draw.budget_id) for draw in draws]
    keys += [judged.policy_key for judged in reservation.judged]
    for rate in rates:
        keys += [scope.rate(rate.limit_id), scope.in_flight(rate.limit_id)]
    if reservation.idempotency is not None:
        keys.append(scope.idempotency(reservation.idempotency.digest))
    if reservation.first_seen is not None:
        keys += [scope.customers(), scope.default_budget(), scope.arrivals_this_hour(), arrivals_key(shard)]
    return tuple(keys)


def _amounts(amounts: Amounts) -> tuple[int, int, int, int]:
    return (amounts.least, amounts.at_cap, amounts.per_output_token, amounts.at_minimum)


def _first_seen(first_seen: FirstSeen | None, draws: Sequence[Draw]) -> tuple[Argument, ...]:
    if first_seen is None:
        return (0, "", "", "")
    number = 1 + [draw.budget_id for draw in draws].index(first_seen.draw.budget_id)
    digest = external_digest(first_seen.external_id)
    return (number, first_seen.customer_id, digest, first_seen.external_id)


def _draw(draw: Draw) -> tuple[Argument, ...]:
    window, following = draw.window, draw.following
    return (
        draw.budget_id,
        draw.measure,
        int(draw.may_clamp),
        window.window_id,
        window.start_ms,
        window.end_ms,
        following.window_id,
        following.start_ms,
        following.end_ms,
    )


def _rate(rate: RateLimit) -> tuple[int, int, int]:
    interval_us = -(-MINUTE_US // rate.requests_per_minute) if rate.requests_per_minute else 0
    return (interval_us, max(1, rate.burst), rate.in_flight_max)
