"""The hold scripts for callers without an event loop: the same calls as the proxy's, one at a time.

Nothing is remembered here: who asked for a hold keeps its id, and its record in Redis says the rest.
"""

from __future__ import annotations

from enforcement.calls import Call, Reply
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.decisions import EndOutcome, Granted, Reservation, ReserveOutcome, Settlement
from enforcement.errors import EnforcementUnavailable
from enforcement.hold_calls import (
    HoldRef,
    dispatched_call,
    expire_call,
    release_call,
    renew_call,
    reserve_call,
    settle_call,
)
from enforcement.hold_replies import Booking, read_end, read_left, read_reserve
from enforcement.keys import shard_in, shard_key
from enforcement.open_holds import open_hold_of

# From the grant to its mark as sent; a hold whose maker dies in between expires at nothing.
RESERVE_TTL_MS = 10_000

Held = tuple[int, int]  # cost and charge as held, nano-dollars


class SyncHolds:
    """Sync client of the hold scripts over one Redis or cluster. Thread-safe.

    Raises (all methods): EnforcementUnavailable when Redis cannot be reached, ShardClosed while the shard is closed.
    """

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def reserve(self, reservation: Reservation) -> ReserveOutcome:
        """Judge every budget and rate limit of a request in one script; claim all or none."""
        return read_reserve(self._run(reserve_call(reservation, ttl_ms=RESERVE_TTL_MS)), reservation)

    def dispatched(self, reservation: Reservation, granted: Granted, *, lease_ms: int) -> int:
        """Mark a fresh grant as sent: from now on its expiry costs the quote. Returns: its deadline in ms."""
        ref = open_hold_of(reservation, granted, since_s=0.0).ref
        reply = self._run(dispatched_call(ref, attempt=reservation.attempt, lease_ms=lease_ms))
        if reply.status != "dispatched":
            raise EnforcementUnavailable(f"hold {granted.hold_id} ended before it could be marked as sent")
        return int(reply.rest[0])

    def settle(
        self, ref: HoldRef, settlement: Settlement, *, held: Held
    ) -> tuple[EndOutcome, Booking | None]:
        """Replace a hold by what its call cost; after an expiry, correct the books by the difference."""
        return read_end(self._run(settle_call(ref, settlement)), ref.hold_id, held)

    def release(self, ref: HoldRef, *, body: bytes, held: Held) -> tuple[EndOutcome, Booking | None]:
        """End a hold whose call cost nothing; one that had been marked as sent leaves a row at zero."""
        return read_end(self._run(release_call(ref, body=body)), ref.hold_id, held)

    def give_up(self, ref: HoldRef, *, body: bytes, held: Held) -> tuple[EndOutcome, Booking | None]:
        """End a hold at its quote, ``unresolved``, whatever its deadline; a late settle still corrects it."""
        reply = self._run(expire_call(ref.scope.shard, (ref,), is_forced=True, body=body))
        return read_left(reply, ref.hold_id, held)

    def renew(self, ref: HoldRef, *, lease_ms: int) -> int | None:
        """Push a dispatched hold's deadline back to a lease from now. Returns: it in ms; None when it has ended."""
        reply = self._run(renew_call(ref.scope.shard, (ref,), lease_ms=lease_ms))
        return int(reply.rest[0]) if reply.text(1) == "renewed" else None

    def read_policy(self, policy_key: str) -> tuple[int, bytes] | None:
        """Read a policy document with its version; None where absent or of an epoch gone by."""
        with unavailable_on_failure():
            pipeline = self._client.redis.pipeline(transaction=False)
            pipeline.hget(shard_key(shard_in(policy_key)), "epoch")
            pipeline.hmget(policy_key, "version", "epoch", "body")
            current, (version, epoch, body) = pipeline.execute()
        if version is None or body is None or epoch != current:
            return None
        return int(version), body

    def _run(self, call: Call) -> Reply:
        with unavailable_on_failure():
            epoch = self._client.redis.hget(shard_key(call.shard), "epoch")
        return self._client.run_in_life(call, epoch=int(epoch or 0))
