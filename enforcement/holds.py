"""The proxy's way to the scripts: reserve, dispatched, settle, release, and the upkeep of open holds."""

from __future__ import annotations

from enforcement.decisions import EndOutcome, Granted, Reservation, ReserveOutcome, Settlement


class Holds:
    """Async client of the hold scripts over one Redis (or cluster).

    Keeps in memory every open hold and every end that the recorder has not committed yet, renews the former by one
    timer, and after a rebuild adopts and replays them. ``start`` and ``close`` bracket its background tasks.

    Raises (all methods): EnforcementUnavailable when Redis cannot be reached, its reply does not come in time, or the
    shard is closed.
    """

    async def start(self) -> None:
        """Connect, load the scripts and start the renew timer and the release queue."""
        raise NotImplementedError

    async def close(self) -> None:
        """Send what is still queued, then stop."""
        raise NotImplementedError

    async def reserve(self, reservation: Reservation) -> ReserveOutcome:
        """Judge every budget and rate limit of a request in one script; claim all or none."""
        raise NotImplementedError

    async def dispatched(self, granted: Granted) -> bool:
        """Mark the hold before the first upstream byte. False when it had ended meanwhile: do not send."""
        raise NotImplementedError

    async def settle(self, granted: Granted, settlement: Settlement) -> EndOutcome:
        """Replace the hold by what the call cost. Never refused for want of money; queued while Redis is away."""
        raise NotImplementedError

    async def release(self, granted: Granted, *, body: bytes = b"") -> EndOutcome:
        """End a hold that cost nothing. With a body (it had been dispatched) a zero-cost row is written."""
        raise NotImplementedError

    async def leave_unresolved(self, granted: Granted, *, body: bytes) -> EndOutcome:
        """End a dispatched hold at its quote now, ``unresolved``, instead of waiting for its deadline."""
        raise NotImplementedError

    async def read_policies(self, policy_keys: tuple[str, ...]) -> tuple[tuple[int, bytes] | None, ...]:
        """Read policy documents with their versions, None where absent."""
        raise NotImplementedError
