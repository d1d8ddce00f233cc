"""What a sink's answer makes of a push, and what each state means: pure, so that every answer can be judged.

The rule behind the table: an answer that proves nothing happened may be followed by the same push again; one that
proves nothing at all makes the push doubtful, and a doubtful push is sent again only as long as the sink knows its
identifier, and is never given another one before its minute was seen to be empty.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from billing.models import Push
from billing.stripe.outcomes import Outcome, Verdict

State = Push.State
BACKOFF_S = (1.0, 600.0)
CLOCK_AHEAD_S = 600.0
BROKEN_S = 60.0
METER_CODES = frozenset({"archived_meter", "no_meter"})
TOO_OLD, IN_FUTURE = "timestamp_too_far_in_past", "timestamp_in_future"
CUSTOMER_CODES = frozenset({"meter_event_customer_not_found", "resource_missing"})


class Effect(StrEnum):
    """What else an answer asks for, beyond the push itself."""

    NONE = ""
    BREAK_SINK = "break_sink"
    BREAK_METER = "break_meter"
    SLOW_DOWN = "slow_down"
    STAMP_NOW = "stamp_now"
    LOSE_CUSTOMER = "lose_customer"


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a push: its state, why, when it is due again, and whether it may have arrived."""

    state: State
    why: str = ""
    delay_s: float = 0.0
    is_doubtful: bool = False
    effect: Effect = Effect.NONE


NEXT_STEPS: dict[str, str] = {
    State.PENDING: "It is sent within a minute, as quickly as the sink allows.",
    State.INFLIGHT: "It is being sent. If the worker died, it is sent again under the same identifier.",
    State.ACCEPTED: "The sink has it. It is confirmed once the sum of its minute shows it.",
    State.CONFIRMED: "Nothing: it is in the sink's sums.",
    State.RETRY: "It is sent again by itself, under the same identifier.",
    State.AMBIGUOUS: "It may have arrived. It is not sent again; reconciliation looks at its minute and decides.",
    State.HELD: "It waits for you: see the reason. Nothing is lost meanwhile.",
    State.REJECTED: "Stripe refused it after taking it in. Mend the reason; it is replaced once its minute is empty.",
    State.FAILED: "It will be refused as it stands. Tell the operator of this installation.",
    State.VOID: "Nothing: another push stands for it, or it was paid for before.",
}
REASONS: dict[str, str] = {
    "unmapped": "the customer has no counterpart at Stripe: map it",
    "no_subscription": "the customer has no subscription that invoices usage: make one at Stripe",
    "customer_deleted": "the customer was deleted at Stripe: map it to another",
    "other_currency": "the customer pays in another currency now",
    "meter_broken": "Stripe takes no events for the meter: reactivate it, or make another",
    "sink_broken": "the credential is refused: give one that works",
    "stamp_too_old": "its stamp is older than the sink takes",
    "period_closed": "the invoice of its period is final, and it may be on it",
    "window_over": "too long ago to send it again without risk of billing twice",
    "worker_lost": "the worker that sent it died before it could say how it went",
    "clock_ahead": "our clock is ahead of the sink's: set it",
    "not_counted": "it was taken in and never counted",
    "prepaid": "the customer had paid for it before: it is not invoiced",
    "other_total": "its minute sums to something else: somebody else may write to the meter",
}


def change_after(
    outcome: Outcome, *, attempts: int, was_doubtful: bool, jitter: float | None = None
) -> Change:
    """Judge an answer. ``attempts`` counts this one; ``jitter`` in [0, 1) spreads what is due again."""
    spread = random.random() if jitter is None else jitter  # noqa: S311 - nobody gains by guessing it
    match outcome.verdict:
        case Verdict.ACCEPTED | Verdict.DUPLICATE:
            return Change(State.ACCEPTED)
        case Verdict.RETRY:
            slow = (
                Effect.NONE if outcome.reason in {"resource-specific", "lock_timeout"} else Effect.SLOW_DOWN
            )
            return _again(outcome, attempts, spread, is_doubtful=was_doubtful, effect=slow)
        case Verdict.AMBIGUOUS:
            return _again(outcome, attempts, spread, is_doubtful=True, effect=Effect.SLOW_DOWN)
        case Verdict.AUTH | Verdict.PERMISSION:
            # Nothing was done with it; it is as it was before the attempt, and waits for a key that works.
            state = State.RETRY if was_doubtful else State.PENDING
            return Change(state, "sink_broken", BROKEN_S, was_doubtful, Effect.BREAK_SINK)
        case _ if was_doubtful:
            # A refusal of the repeat says nothing of the first.
            return Change(State.AMBIGUOUS, outcome.code or "refused_repeat", is_doubtful=True)
    return _refused(outcome)


def _refused(outcome: Outcome) -> Change:
    if outcome.verdict == Verdict.CLASH:
        return Change(State.FAILED, "clash")
    if outcome.verdict == Verdict.MISSING or outcome.code in CUSTOMER_CODES:
        return Change(State.REJECTED, "customer_deleted", effect=Effect.LOSE_CUSTOMER)
    if outcome.code in METER_CODES:
        return Change(State.HELD, "meter_broken", effect=Effect.BREAK_METER)
    if outcome.code == TOO_OLD:
        return Change(State.RETRY, "stamp_too_old", effect=Effect.STAMP_NOW)
    if outcome.code == IN_FUTURE:
        return Change(State.RETRY, "clock_ahead", CLOCK_AHEAD_S)
    return Change(State.FAILED, outcome.code[:40] or "invalid")


def change_after_report(code: str) -> Change:
    """Judge a report that comes after an event was taken in: it was not counted, says the sink."""
    if code in CUSTOMER_CODES:
        return Change(State.REJECTED, "customer_deleted", effect=Effect.LOSE_CUSTOMER)
    if code in METER_CODES:
        return Change(State.REJECTED, "meter_broken", effect=Effect.BREAK_METER)
    return Change(State.REJECTED, code[:40] or "rejected")


def backoff_s(attempts: int, jitter: float) -> float:
    """Work out a pause: doubling from a second to ten minutes, a half of it at random."""
    first, most = BACKOFF_S
    whole = min(most, first * float(1 << min(attempts - 1, 20)))
    return whole / 2 + whole / 2 * jitter


def lease_s(attempts: int) -> float:
    """How long an attempt may take before it counts as lost; longer each time, so that a poison row stands back."""
    return min(3600.0, 60.0 * float(1 << min(attempts, 10)))


def window_of(sink: str, namespace: str) -> timedelta:
    """How long a sink knows an identifier again: within it a repeat is safe, less a margin of a day or an hour."""
    return timedelta(hours=23) if (sink, namespace) == (Push.Sink.STRIPE, "v1") else timedelta(days=29)


def _again(outcome: Outcome, attempts: int, spread: float, *, is_doubtful: bool, effect: Effect) -> Change:
    why = (
        outcome.reason
        or outcome.code
        or ("no_answer" if outcome.status is None else f"status_{outcome.status}")
    )
    return Change(State.RETRY, why[:40], backoff_s(attempts, spread), is_doubtful, effect)
