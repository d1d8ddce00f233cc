"""A sync counter at which tests hand in script calls: one tenant, one open shard, budgets set by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

import redis

from enforcement.calls import Call, Life, Reply, parse_draws, parse_reply
from enforcement.decisions import (
    Draw,
    EndOutcome,
    FirstSeen,
    Granted,
    Idempotency,
    Judged,
    Reservation,
    ReserveOutcome,
    Settlement,
)
from enforcement.hold_calls import (
    HoldRef,
    dispatched_call,
    distinct_rates,
    expire_call,
    flights_of,
    release_call,
    renew_call,
    reserve_call,
    settle_call,
)
from enforcement.hold_replies import read_end, read_expired, read_reserve
from enforcement.keys import Scope, deadlines_key, shard_key, usage_key
from enforcement.policies import RateLimit
from metering.ids import make_hold_id
from metering.money import NanoUsd
from metering.quote import Amounts
from metering.windows import NEVER_MS, Window

ACME = Scope("ten_acme0000000000a", "test")
EPOCH = 7
TOTAL = Window("total:0", 0, NEVER_MS)


def amounts(least: int, per_token: int, cap: int, minimum: int) -> Amounts:
    return Amounts(
        NanoUsd(least), NanoUsd(least + per_token * cap), per_token, NanoUsd(least + per_token * minimum)
    )


def draw(
    budget_id: str, *, measure: str = "charge", may_clamp: bool = False, window: Window = TOTAL, **more: Any
) -> Draw:
    return Draw(budget_id, cast("Any", measure), may_clamp, window, more.get("following", window))


class Desk:
    def __init__(self, client: redis.Redis, scope: Scope = ACME) -> None:
        self.redis: Any = client
        self.scope = scope
        self.run_id = str(self.redis.info("server")["run_id"])
        self.numbers = itertools.count(1)
        self.open_shard()

    def open_shard(self, *, state: str = "open", epoch: int = EPOCH) -> None:
        self.epoch = epoch
        self.redis.hset(
            shard_key(self.scope.shard), mapping={"state": state, "run_id": self.run_id, "epoch": epoch}
        )

    def budget(self, budget_id: str, limit: int, *, epoch: int | None = None, **fields: Any) -> None:
        epoch = self.epoch if epoch is None else epoch
        self.redis.hset(
            self.scope.budget(budget_id), mapping={"limit": limit, "version": 1, "epoch": epoch, **fields}
        )

    def policy(self, key: str, version: int) -> Judged:
        self.redis.hset(key, mapping={"version": version, "epoch": self.epoch, "body": b"{}"})
        return Judged(key, version)

    def reservation(
        self,
        *draws: Draw,
        hold_id: str = "",
        attempt: str = "attempt-1",
        request_id: str = "req_1",
        least: int = 100,
        per_token: int = 10,
        cap: int = 90,
        minimum: int = 10,
        charge: Amounts | None = None,
        cap_is_ours: bool = False,
        may_clamp: bool = True,
        judged: Sequence[Judged] = (),
        rates: Sequence[RateLimit] = (),
        first_seen: FirstSeen | None = None,
        idempotency: Idempotency | None = None,
        body: bytes = b'{"body":1}',
    ) -> Reservation:
        """The whole quote is 1,000 unless said otherwise; the charge is the cost."""
        cost = amounts(least, per_token, cap, minimum)
        return Reservation(
            scope=self.scope,
            hold_id=hold_id or self.hold_id(),
            attempt=attempt,
            request_id=request_id,
            cost=cost,
            charge=charge or cost,
            output_cap=cap,
            output_minimum=minimum,
            cap_is_ours=cap_is_ours,
            may_clamp=may_clamp,
            draws=tuple(draws),
            judged=tuple(judged),
            rates=tuple(rates),
            first_seen=first_seen,
            idempotency=idempotency,
            body=body,
        )

    def hold_id(self) -> str:
        return make_hold_id(1_760_000_000_000, next(self.numbers))

    def run(self, call: Call) -> Reply:
        parts = call.parts(Life(self.run_id, self.epoch))
        return parse_reply(self.redis.eval(call.script.text, *parts))

    def reserve(self, reservation: Reservation, *, ttl_ms: int = 10_000) -> ReserveOutcome:
        return read_reserve(self.run(reserve_call(reservation, ttl_ms=ttl_ms)), reservation)

    def granted(self, *draws: Draw, **options: Any) -> tuple[HoldRef, Granted]:
        reservation = self.reservation(*draws, **options)
        outcome = self.reserve(reservation)
        assert isinstance(outcome, Granted), outcome
        return ref_of(reservation, outcome), outcome

    def dispatched(self, ref: HoldRef, *, attempt: str = "attempt-1", lease_ms: int = 30_000) -> Reply:
        return self.run(dispatched_call(ref, attempt=attempt, lease_ms=lease_ms))

    def sent(self, *draws: Draw, **options: Any) -> tuple[HoldRef, Granted]:
        """A hold that is reserved and dispatched."""
        ref, granted = self.granted(*draws, **options)
        assert self.dispatched(ref, attempt=options.get("attempt", "attempt-1")).status == "dispatched"
        return ref, granted

    def settle(self, ref: HoldRef, cost: int, charge: int | None = None) -> EndOutcome:
        settlement = Settlement(
            cost_nanousd=cost,
            charge_nanousd=cost if charge is None else charge,
            basis="reported",
            body=b'{"end":1}',
        )
        return read_end(self.run(settle_call(ref, settlement)), ref.hold_id, (0, 0))[0]

    def release(self, ref: HoldRef, *, body: bytes = b"", is_certain: bool = True) -> EndOutcome:
        return read_end(self.run(release_call(ref, body=body, is_certain=is_certain)), ref.hold_id, (0, 0))[0]

    def expire(self, *refs: HoldRef, is_forced: bool = False, body: bytes = b"") -> list[str]:
        reply = self.run(expire_call(self.scope.shard, refs, is_forced=is_forced, body=body))
        assert reply.status == "expired"
        return [outcome for outcome, _ in read_expired(reply)]

    def renew(self, *refs: HoldRef, lease_ms: int = 30_000) -> list[str]:
        reply = self.run(renew_call(self.scope.shard, refs, lease_ms=lease_ms))
        return [reply.text(place) for place in range(1, len(reply.rest))]

    def lapse(self, ref: HoldRef) -> None:
        """Put a hold's deadline into the past."""
        key = self.scope.hold(ref.hold_id)
        self.redis.hset(key, "deadline", 1)
        self.redis.zadd(deadlines_key(self.scope.shard), {key: 1})

    def hold(self, ref: HoldRef) -> dict[str, str]:
        return self._text(self.redis.hgetall(self.scope.hold(ref.hold_id)))

    def record(self, budget_id: str) -> dict[str, str]:
        return self._text(self.redis.hgetall(self.scope.budget(budget_id)))

    def held(self, budget_id: str, window: Window = TOTAL) -> int:
        return int(self.record(budget_id).get(f"h:{window.window_id}", 0))

    def spent(self, budget_id: str, window: Window = TOTAL) -> int:
        return int(self.record(budget_id).get(f"s:{window.window_id}", 0))

    def events(self, stream: str = "") -> list[dict[str, str]]:
        return [self._text(fields) for _, fields in self.redis.xrange(stream or usage_key(self.scope.shard))]

    def event_sum(self, budget_id: str) -> int:
        """What the stream says was spent of a budget."""
        total = 0
        for event in self.events():
            for booked in parse_draws(event["draws"]):
                if booked.budget_id == budget_id:
                    total += int(event[booked.measure])
        return total

    def open_keys(self) -> list[str]:
        return [key.decode() for key in self.redis.zrange(deadlines_key(self.scope.shard), 0, -1)]

    def now_ms(self) -> int:
        seconds, microseconds = self.redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    @staticmethod
    def _text(fields: dict[bytes, bytes]) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in fields.items()}


def ref_of(reservation: Reservation, granted: Granted) -> HoldRef:
    idempotency = reservation.idempotency
    return HoldRef(
        reservation.scope,
        reservation.hold_id,
        parse_draws(",".join(":".join(booked) for booked in granted.draws)),
        flights_of(distinct_rates(reservation)),
        idempotency.digest if idempotency else "",
    )
