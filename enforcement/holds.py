"""The proxy's way to the scripts: reserve, dispatched, settle, release, and the upkeep of open holds."""

from __future__ import annotations

import asyncio

from enforcement.decisions import (
    AlreadyEnded,
    EndOutcome,
    Granted,
    Overloaded,
    Replayed,
    Reservation,
    ReserveOutcome,
    Settlement,
)
from enforcement.errors import EnforcementUnavailable, OutcomeUnknown, OutOfMemory
from enforcement.hold_calls import dispatched_call, reserve_call
from enforcement.hold_replies import read_end, read_left, read_reserve
from enforcement.keys import shard_in
from enforcement.open_holds import (
    Ending,
    OpenHold,
    Unrecorded,
    ended_claim_of,
    forsaken_hold_of,
    open_hold_of,
)
from enforcement.refusals import RefusalCounts
from enforcement.shards import Shards
from enforcement.upkeep import Upkeep

RESERVE_TTL_MS = 10_000
LEASE_MS = 30_000
RENEW_EVERY_MS = 10_000
TIMEOUT_MS = 1_000


class Holds:
    """Async client of the hold scripts over one Redis (or cluster).

    Keeps in memory every open hold and every end that the recorder has not committed yet, renews the former by one
    timer, and after a rebuild adopts and replays them. ``start`` and ``close`` bracket its background tasks.

    Raises (all methods): EnforcementUnavailable when Redis cannot be reached, its reply does not come in time, or the
    shard is closed. An end (settle, release, leave_unresolved) that raises it is queued and sent until it is booked:
    the caller has nothing left to do.
    """

    def __init__(
        self,
        url: str,
        *,
        reserve_ttl_ms: int = RESERVE_TTL_MS,
        lease_ms: int = LEASE_MS,
        renew_every_ms: int = RENEW_EVERY_MS,
        timeout_ms: int = TIMEOUT_MS,
    ) -> None:
        self._reserve_ttl_ms = reserve_ttl_ms
        self._lease_ms = lease_ms
        self._timeout_ms = timeout_ms
        self._open: dict[str, OpenHold] = {}
        self._shards = Shards(url, self._open, timeout_ms=timeout_ms, lease_ms=lease_ms)
        self._refusals = RefusalCounts(self._shards.links)
        self._upkeep = Upkeep(
            self._shards, self._open, self._send_end, lease_ms=lease_ms, renew_every_ms=renew_every_ms
        )

    @property
    def open_holds(self) -> int:
        """How many holds of this process have not ended."""
        return sum(1 for hold in self._open.values() if hold.given_up_s is None)

    @property
    def unrecorded(self) -> int:
        """How many ends are not known to be rows yet, those still queued included."""
        return self._shards.unrecorded + self._upkeep.queued

    @property
    def recorder_lag_s(self) -> float:
        """How long the oldest of those ends has waited by now; zero where none waits."""
        waiting = [at for at in (self._shards.oldest_end_s, self._upkeep.oldest_end_s) if at is not None]
        return asyncio.get_running_loop().time() - min(waiting) if waiting else 0.0

    async def start(self) -> None:
        """Connect, check the server and start the renew timer and the release queue. Raises: UnsafeRedis."""
        await self._shards.links.start()
        self._upkeep.start()
        self._refusals.start()

    async def close(self) -> None:
        """Send what is still queued, then stop."""
        await self._upkeep.stop(patience_ms=2 * self._timeout_ms)
        await self._refusals.stop()
        await self._shards.links.close()

    async def reserve(self, reservation: Reservation) -> ReserveOutcome:
        """Judge every budget and rate limit of a request in one script; claim all or none."""
        call = reserve_call(reservation, ttl_ms=self._reserve_ttl_ms)
        self._upkeep.forget(reservation.hold_id)
        try:
            reply = await self._shards.run_repeatable(call)
        except OutOfMemory:
            return Overloaded("memory")
        except (OutcomeUnknown, asyncio.CancelledError):
            # The claim may stand. It is given back, or, if this process dies as well, expires at nothing.
            self._forsake(reservation)
            raise
        outcome = read_reserve(reply, reservation)
        if isinstance(outcome, Replayed) and outcome.granted and reservation.hold_id not in self._open:
            # Our own repetition found the first try's claim.
            outcome = outcome.granted if outcome.state == "reserved" else outcome
        if isinstance(outcome, Granted):
            since_s = asyncio.get_running_loop().time()
            self._open[outcome.hold_id] = open_hold_of(reservation, outcome, since_s=since_s)
        self._refusals.note(reservation.scope, outcome)
        return outcome

    async def dispatched(self, granted: Granted) -> bool:
        """Mark the hold before the first upstream byte. False when it had ended meanwhile: do not send."""
        hold = self._open.get(granted.hold_id)
        if hold is None:
            return False
        reply = await self._shards.run_repeatable(
            dispatched_call(hold.ref, attempt=hold.attempt, lease_ms=self._lease_ms)
        )
        if reply.status != "dispatched":
            self._open.pop(granted.hold_id, None)
            return False
        hold.state = "dispatched"
        hold.deadline_ms = reply.rest[0]
        return True

    async def settle(self, granted: Granted, settlement: Settlement) -> EndOutcome:
        """Replace the hold by what the call cost. Never refused for want of money; queued while Redis is away."""
        hold = self._open.get(granted.hold_id)
        return await self._end(Ending(hold, settlement=settlement) if hold else None)

    async def release(self, granted: Granted, *, body: bytes = b"") -> EndOutcome:
        """End a hold that cost nothing. With a body (it had been dispatched) a zero-cost row is written."""
        hold = self._open.get(granted.hold_id)
        return await self._end(Ending(hold, body=body) if hold else None)

    async def leave_unresolved(self, granted: Granted, *, body: bytes) -> EndOutcome:
        """End a dispatched hold at its quote now, ``unresolved``, instead of waiting for its deadline."""
        hold = self._open.get(granted.hold_id)
        return await self._end(Ending(hold, body=body, is_unresolved=True) if hold else None)

    async def abandon(self, granted: Granted, *, body: bytes) -> EndOutcome:
        """End a hold by how far it had come: at nothing before its dispatch, else unresolved. An end given stays."""
        hold = self._open.get(granted.hold_id)
        if hold is None or hold.given_up_s is not None or self._upkeep.is_queued(granted.hold_id):
            return AlreadyEnded("ended")
        is_sent = hold.state == "dispatched"
        return await self._end(Ending(hold, body=body if is_sent else b"", is_unresolved=is_sent))

    async def read_policies(self, policy_keys: tuple[str, ...]) -> tuple[tuple[int, bytes] | None, ...]:
        """Read policy documents with their versions, None where absent (or of an epoch gone by)."""
        return tuple(await asyncio.gather(*map(self._read_policy, policy_keys)))

    async def _read_policy(self, key: str) -> tuple[int, bytes] | None:
        shard = shard_in(key)
        version, epoch, body = await self._shards.links.read(shard, "HMGET", key, "version", "epoch", "body")
        known_epoch = await self._shards.epoch_of(shard)
        if version is None or body is None or int(epoch) != known_epoch:
            # Absent, or of another epoch than the one in hand: that says something only of a shard that is open.
            known_epoch = await self._shards.open_epoch_of(shard)
        if version is None or body is None or int(epoch) != known_epoch:
            return None
        return int(version), body

    async def _end(self, ending: Ending | None) -> EndOutcome:
        if ending is None:
            return AlreadyEnded("ended")
        ending.hold.ended_s = asyncio.get_running_loop().time()
        try:
            return await self._send_end(ending)
        except (EnforcementUnavailable, asyncio.CancelledError):
            self._upkeep.queue(ending)
            raise

    async def _send_end(self, ending: Ending) -> EndOutcome:
        hold = ending.hold
        hold_id = hold.ref.hold_id
        reply = await self._shards.run(ending.call())
        read = read_left if ending.is_unresolved else read_end
        outcome, booking = read(reply, hold_id, (hold.cost_nanousd, hold.charge_nanousd))
        # A reserved hold leaves no row when it is released, though an earlier try of it may say "released".
        if booking is not None and (booking.kind != "released" or hold.state == "dispatched"):
            claim = ended_claim_of(ending, booking)
            self._shards.remember(hold.ref.scope.shard, Unrecorded(booking.seq, claim, ending))
        if ending.is_unresolved and booking is not None:
            hold.given_up_s = asyncio.get_running_loop().time()
        else:
            self._open.pop(hold_id, None)
        return outcome

    def _forsake(self, reservation: Reservation) -> None:
        hold = forsaken_hold_of(reservation)
        hold.ended_s = asyncio.get_running_loop().time()
        self._upkeep.queue(Ending(hold, is_certain=False))
