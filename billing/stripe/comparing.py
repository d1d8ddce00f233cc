"""What an hour's sum at Stripe says beside what was pushed into it: pure decisions, no reads.

An hour agrees, or it may still come (lagging), or it does not hold what Stripe took (missing), or it holds more: a push
of ours more than once (excess), or something that we never sent (foreign). A sum that is not whole is foreign too: we
send whole units only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing.models import ReconRow

State = ReconRow.State
# Sums are complete after minutes; two hours are beyond anything that was seen.
LAG_MAX = timedelta(hours=2)
NOT_WHOLE, IN_DOUBT, TOO_MUCH, NOT_OURS = "not_whole", "in_doubt", "counted_twice", "not_ours"
WORDS: dict[str, str] = {
    NOT_WHOLE: "the sum is not whole: we send whole units only",
    IN_DOUBT: "a push is being tried again and may be there",
    TOO_MUCH: "a push of ours was counted more than once",
    NOT_OURS: "somebody else writes to the meter",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """An hour's state, and why where the state alone does not say it."""

    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class Minute:
    """One push of ours and what its minute sums to."""

    value_units: int
    total: Decimal


def judge_hour(
    expected_units: int,
    total: Decimal,
    *,
    youngest_at: datetime | None,
    is_doubtful: bool,
    now: datetime,
) -> Verdict | None:
    """Judge an hour by its sum; None = there is more than expected, and only its minutes tell whose it is.

    ``youngest_at`` is when Stripe took the last push of it; ``is_doubtful`` = one is still being tried.
    """
    if total != total.to_integral_value():
        return Verdict(State.FOREIGN, NOT_WHOLE)
    if total == expected_units:
        return Verdict(State.OK)
    if is_doubtful:
        return Verdict(State.LAGGING, IN_DOUBT)
    if total > expected_units:
        return None
    is_fresh = youngest_at is not None and now - youngest_at < LAG_MAX
    return Verdict(State.LAGGING if is_fresh else State.MISSING)


def judge_surplus(total: Decimal, minutes: Sequence[Minute]) -> Verdict:
    """Judge an hour that holds too much by the minutes of every push of ours that was ever sent into it."""
    if sum((each.total for each in minutes), Decimal(0)) != total:
        return Verdict(State.FOREIGN, NOT_OURS)
    ours = all(each.total % each.value_units == 0 and each.total / each.value_units >= 0 for each in minutes)
    return Verdict(State.EXCESS, TOO_MUCH) if ours else Verdict(State.FOREIGN, NOT_OURS)
