"""What a proxy tells a shard that begins a new epoch: the holds it owns, and the ends nobody may have recorded.

Without I/O: builders and readers for ``adopt.lua`` and ``replay.lua``, used by the proxy's holds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from enforcement.calls import (
    TOMBSTONE_ENDED_MS,
    TOMBSTONE_EXPIRED_MS,
    BookedDraw,
    Call,
    Reply,
    Script,
    format_draws,
)
from enforcement.decisions import AlreadyEnded
from enforcement.keys import Scope, deadlines_key, usage_key, wanted_key

ADOPT = Script("adopt")
REPLAY = Script("replay")


class OpenClaim(msgspec.Struct, frozen=True, kw_only=True):
    """An open hold as its proxy remembers it."""

    scope: Scope
    hold_id: str
    state: Literal["reserved", "dispatched"]
    attempt: str
    request_id: str
    cost_nanousd: int
    charge_nanousd: int
    output_cap: int
    draws: tuple[BookedDraw, ...]
    body: bytes
    in_flight_limits: tuple[str, ...] = ()
    idempotency_digest: str = ""


class EndedClaim(msgspec.Struct, frozen=True, kw_only=True):
    """An end whose event was appended, but is not known to be recorded. Amounts are the event's, signed."""

    scope: Scope
    hold_id: str
    kind: str  # settled | expired | correction | released
    number: int
    basis: str
    cost_nanousd: int
    charge_nanousd: int
    draws: tuple[BookedDraw, ...]
    body: bytes
    corrects: str = ""
    in_flight_limits: tuple[str, ...] = ()
    idempotency_digest: str = ""


class Adopted(msgspec.Struct, frozen=True):
    """The hold stands in the new epoch until this deadline, and is to be renewed like any other."""

    deadline_ms: int


def adopt_call(claim: OpenClaim, *, lease_ms: int) -> Call:
    """Take an open hold over into the shard's epoch."""
    scope = claim.scope
    keys = (deadlines_key(scope.shard), scope.hold(claim.hold_id), *_drawn_keys(claim))
    args = (
        claim.hold_id,
        claim.state,
        claim.attempt,
        lease_ms,
        claim.cost_nanousd,
        claim.charge_nanousd,
        claim.output_cap,
        claim.request_id,
        scope.tenant_id,
        scope.mode,
        format_draws(claim.draws),
        ",".join(claim.in_flight_limits),
        claim.idempotency_digest,
        claim.body,
    )
    return Call(ADOPT, scope.shard, keys, args)


def parse_adopt(reply: Reply) -> Adopted | AlreadyEnded:
    """Read adopt's reply: the hold stands, or it had ended meanwhile; a settle of an expired one corrects the books."""
    if reply.status == "ended":
        return AlreadyEnded(reply.text(0))
    return Adopted(int(reply.rest[0]))


def replay_call(end: EndedClaim) -> Call:
    """Append the event of an end again, under its own id."""
    scope = end.scope
    shard = scope.shard
    hold_keys = (deadlines_key(shard), usage_key(shard), wanted_key(shard), scope.hold(end.hold_id))
    args = (
        end.hold_id,
        end.kind,
        end.number,
        end.basis,
        end.cost_nanousd,
        end.charge_nanousd,
        end.corrects,
        scope.tenant_id,
        scope.mode,
        format_draws(end.draws),
        end.body,
        TOMBSTONE_EXPIRED_MS if end.kind == "expired" else TOMBSTONE_ENDED_MS,
        len(end.in_flight_limits),
    )
    keyed = (scope.idempotency(end.idempotency_digest),) if end.idempotency_digest else ()
    return Call(REPLAY, shard, (*hold_keys, *_drawn_keys(end), *keyed), args)


def parse_replay(reply: Reply) -> bool:
    """Read replay's reply: True when the event is on the stream again, at the reply's position.

    False when the hold expired as unresolved meanwhile: end it once more, which appends a correction instead.
    """
    return reply.status == "replayed"


def _drawn_keys(claim: OpenClaim | EndedClaim) -> tuple[str, ...]:
    budgets = (claim.scope.budget(draw.budget_id) for draw in claim.draws)
    return (*budgets, *(claim.scope.in_flight(limit_id) for limit_id in claim.in_flight_limits))
