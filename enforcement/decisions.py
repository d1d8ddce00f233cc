"""What may be asked of enforcement and what it may answer. Expected outcomes are values, not exceptions.

Amounts are nano-dollars, instants are milliseconds of Redis's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from enforcement.keys import Scope
from enforcement.policies import Measure, RateLimit
from metering.quote import Amounts
from metering.windows import Window


@dataclass(frozen=True, slots=True)
class Draw:
    """One budget a request draws on, with the window the caller believes in and the one that follows."""

    budget_id: str
    measure: Measure
    may_clamp: bool  # the budget's on_exhaustion is clamp (or grow, which acts as clamp where it cannot grow)
    window: Window
    following: Window


@dataclass(frozen=True, slots=True)
class Judged:
    """A policy a request was judged under: its key and the version in hand (0 = known to be absent)."""

    policy_key: str
    version: int


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """A server key names a customer nobody has seen: make its budget from the tenant's default, or refuse."""

    external_id: str
    customer_id: str  # a pure function of tenant, mode and external id
    draw: Draw  # the budget to be made; it stands among the reservation's draws as well


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's Idempotency-Key: digest of (key, route, caller's value) and digest of the body."""

    digest: str
    body_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
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


@dataclass(frozen=True, slots=True)
class Granted:
    """The claim stands on every budget."""

    hold_id: str
    deadline_ms: int
    output_cap: int  # smaller than asked where clamped
    cost_nanousd: int  # what is held, by measure
    charge_nanousd: int
    clamped: bool
    remaining_nanousd: int  # on the tightest budget, after this hold
    draws: tuple[tuple[str, str, Measure], ...]  # (budget id, window id, measure) as booked


@dataclass(frozen=True, slots=True)
class BudgetState:
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


@dataclass(frozen=True, slots=True)
class Refused:
    """402: what is spent leaves no room. Final for this window."""

    budget: BudgetState


@dataclass(frozen=True, slots=True)
class Crowded:
    """429: it would fit once open holds end."""

    budget: BudgetState
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class RateLimited:
    """429: too many requests, or too many in flight."""

    limit_id: str
    kind: Literal["requests", "in_flight"]
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class Stale:
    """A policy in hand is older than Redis's: reload those keys and judge again."""

    policy_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turned:
    """The caller's idea of a window is stale; work it out again at Redis's time."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """This hold id is already known. ``same_attempt`` alone may dispatch, and only while it is ``reserved``."""

    state: str
    same_attempt: bool
    granted: Granted | None = None


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """A budget's record is absent: not loaded is never empty."""

    budget_id: str


@dataclass(frozen=True, slots=True)
class UnknownCustomer:
    """A first-seen customer may not be made: the index is not complete, or too many this hour."""

    reason: Literal["index_incomplete", "too_many", "no_default", "known"]
    retry_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class InProgress:
    """409: the same Idempotency-Key is open."""

    request_id: str


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """409: the same Idempotency-Key has ended."""

    request_id: str
    cost_nanousd: int


@dataclass(frozen=True, slots=True)
class OtherBody:
    """422: the same Idempotency-Key came with another body."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Overloaded:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a dispatched hold ended with money: by report or by estimate."""

    cost_nanousd: int
    charge_nanousd: int
    basis: Literal["reported", "estimated"]
    body: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """A hold's end is booked. ``corrected`` when it had expired before and the difference was booked."""

    corrected: bool
    remaining_nanousd: int = 0


@dataclass(frozen=True, slots=True)
class AlreadyEnded:
    """The hold ended before, in this way; nothing was changed."""

    state: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No record and too old to tell: nothing was changed, the call went to the dead letters."""

    hold_id: str


EndOutcome = Ended | AlreadyEnded | Unknown


@dataclass(frozen=True, slots=True)
class WindowBalance:
    """One window of one budget, as Redis has it."""

    window_id: str
    spent_nanousd: int
    held_nanousd: int


@dataclass(frozen=True, slots=True)
class Balance:
    """A budget as Redis has it, with the stream position (shard seq) it was read at."""

    budget_id: str
    limit_nanousd: int
    version: int
    epoch: int
    seq: int
    windows: tuple[WindowBalance, ...] = field(default=())
    last_event_seq: int = 0  # a recorder that is here has booked everything the sums hold
