"""What may be asked of enforcement and what it may answer. Expected outcomes are values, not exceptions.

Amounts are nano-dollars, instants are milliseconds of Redis's clock.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from enforcement.keys import Scope
from enforcement.policies import Measure, RateLimit
from metering.quote import Amounts
from metering.windows import Window


class Draw(msgspec.Struct, frozen=True):
    """One budget a request draws on, with the window the caller believes in and the one that follows."""

    budget_id: str
    measure: Measure
    may_clamp: bool  # the budget's on_exhaustion is clamp (or grow, which acts as clamp where it cannot grow)
    window: Window
    following: Window


class Judged(msgspec.Struct, frozen=True):
    """A policy a request was judged under: its key and the version in hand (0 = known to be absent)."""

    policy_key: str
    version: int


class FirstSeen(msgspec.Struct, frozen=True):
    """A server key names a customer nobody has seen: make its budget from the tenant's default, or refuse."""

    external_id: str
    customer_id: str  # a pure function of tenant, mode and external id
    draw: Draw  # the budget to be made; it stands among the reservation's draws as well


class Idempotency(msgspec.Struct, frozen=True):
    """A caller's Idempotency-Key: digest of (key, route, caller's value) and digest of the body."""

    digest: str
    body_digest: str


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything ``reserve`` decides on, and what the hold must remember."""

    scope: Scope
    hold_id: str
    attempt: str  # nonce: a replayed reserve may dispatch only under the same one
    request_id: str
    cost: Amounts
    charge: Amounts
    output_cap: int
    output_minimum: int
    cap_is_ours: bool  # the caller named no cap, so it may be lowered under every policy
    may_clamp: bool  # false where a cut answer is worthless (schema, forced tool, thinking)
    draws: tuple[Draw, ...]
    judged: tuple[Judged, ...]
    rates: tuple[RateLimit, ...] = ()
    first_seen: FirstSeen | None = None
    idempotency: Idempotency | None = None
    body: bytes = b""  # EventBody as known now: becomes the row if the hold expires


class Granted(msgspec.Struct, frozen=True):
    """The claim stands on every budget."""

    hold_id: str
    deadline_ms: int
    output_cap: int  # smaller than asked where clamped
    cost_nanousd: int  # what is held, by measure
    charge_nanousd: int
    clamped: bool
    remaining_nanousd: int  # on the tightest budget, after this hold
    draws: tuple[tuple[str, str, Measure], ...]  # (budget id, window id, measure) as booked


class BudgetState(msgspec.Struct, frozen=True):
    """A budget as it stood when it ruled."""

    budget_id: str
    limit_nanousd: int
    spent_nanousd: int
    held_nanousd: int
    needed_nanousd: int  # what this request would have claimed at the least
    window_end_ms: int

    @property
    def left_nanousd(self) -> int:
        """What is not spent; never below zero on a screen."""
        return max(0, self.limit_nanousd - self.spent_nanousd)


class Refused(msgspec.Struct, frozen=True):
    """402: what is spent leaves no room. Final for this window."""

    budget: BudgetState


class Crowded(msgspec.Struct, frozen=True):
    """429: it would fit once open holds end."""

    budget: BudgetState
    retry_after_ms: int


class RateLimited(msgspec.Struct, frozen=True):
    """429: too many requests, or too many in flight."""

    limit_id: str
    kind: Literal["requests", "in_flight"]
    retry_after_ms: int


class Stale(msgspec.Struct, frozen=True):
    """A policy in hand is older than Redis's: reload those keys and judge again."""

    policy_keys: tuple[str, ...]


class Turned(msgspec.Struct, frozen=True):
    """The caller's idea of a window is stale; work it out again at Redis's time."""

    now_ms: int


class Replayed(msgspec.Struct, frozen=True):
    """This hold id is already known. ``same_attempt`` alone may dispatch, and only while it is ``reserved``."""

    state: str
    same_attempt: bool
    granted: Granted | None = None


class NotLoaded(msgspec.Struct, frozen=True):
    """A budget's record is absent: not loaded is never empty."""

    budget_id: str


class UnknownCustomer(msgspec.Struct, frozen=True):
    """A first-seen customer may not be made: the index is not complete, or too many this hour."""

    reason: Literal["index_incomplete", "too_many", "no_default", "known"]
    retry_after_ms: int = 0


class InProgress(msgspec.Struct, frozen=True):
    """409: the same Idempotency-Key is open."""

    request_id: str


class AlreadyDone(msgspec.Struct, frozen=True):
    """409: the same Idempotency-Key has ended."""

    request_id: str
    cost_nanousd: int


class OtherBody(msgspec.Struct, frozen=True):
    """422: the same Idempotency-Key came with another body."""

    request_id: str


class Overloaded(msgspec.Struct, frozen=True):
    """503: above the memory or recorder-lag watermark; what is open can still end."""

    reason: str


ReserveOutcome = (
    Granted
    | Refused
    | Crowded
    | RateLimited
    | Stale
    | Turned
    | Replayed
    | NotLoaded
    | UnknownCustomer
    | InProgress
    | AlreadyDone
    | OtherBody
    | Overloaded
)


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How a dispatched hold ended with money: by report or by estimate."""

    cost_nanousd: int
    charge_nanousd: int
    basis: Literal["reported", "estimated"]
    body: bytes


class Ended(msgspec.Struct, frozen=True):
    """A hold's end is booked. ``corrected`` when it had expired before and the difference was booked."""

    corrected: bool
    remaining_nanousd: int = 0


class AlreadyEnded(msgspec.Struct, frozen=True):
    """The hold ended before, in this way; nothing was changed."""

    state: str


class Unknown(msgspec.Struct, frozen=True):
    """No record and too old to tell: nothing was changed, the call went to the dead letters."""

    hold_id: str


EndOutcome = Ended | AlreadyEnded | Unknown


class WindowBalance(msgspec.Struct, frozen=True):
    """One window of one budget, as Redis has it."""

    window_id: str
    spent_nanousd: int
    held_nanousd: int


class Balance(msgspec.Struct, frozen=True):
    """A budget as Redis has it, with the stream position (shard seq) it was read at."""

    budget_id: str
    limit_nanousd: int
    version: int
    epoch: int
    seq: int
    windows: tuple[WindowBalance, ...] = ()
    last_event_seq: int = 0  # a recorder that is here has booked everything the sums hold
