"""What a reservation that was not granted means, in words for its caller."""

from __future__ import annotations

from datetime import UTC, datetime

from enforcement.decisions import (
    AlreadyDone,
    BudgetState,
    Crowded,
    InProgress,
    NotLoaded,
    OtherBody,
    Overloaded,
    RateLimited,
    Refused,
    ReserveOutcome,
    UnknownCustomer,
)
from enforcement.errors import EnforcementUnavailable
from metering.money import format_usd
from metering.windows import NEVER_MS
from proxy.errors import Refusal


def refusal_of(outcome: ReserveOutcome) -> Refusal:
    """Put into words why a request was not granted.

    Raises: EnforcementUnavailable where it is not the caller's doing.
    """
    match outcome:
        case Refused(budget):
            return _exceeded(budget)
        case Crowded(budget, retry_after_ms):
            return Refusal(
                "budget_in_flight",
                f"budget {budget.budget_id} has room for this request only once calls in flight have ended: "
                f"${format_usd(budget.held_nanousd)} are held",
                numbers=_numbers(budget),
                retry_after_ms=max(1, retry_after_ms),
            )
        case RateLimited(limit_id, kind, retry_after_ms):
            what = "calls in flight" if kind == "in_flight" else "requests"
            return Refusal(
                "rate_limited",
                f"too many {what} under limit {limit_id}",
                numbers={"limit_id": limit_id, "limited": kind},
                retry_after_ms=max(1, retry_after_ms),
            )
        case UnknownCustomer(reason, retry_after_ms):
            return _unknown_customer(reason, retry_after_ms)
        case _:
            return _unusual(outcome)


def _unusual(outcome: ReserveOutcome) -> Refusal:
    match outcome:
        case InProgress(request_id):
            return Refusal(
                "request_in_progress",
                f"a request with this Idempotency-Key is under way as {request_id}",
                numbers={"request_id": request_id},
            )
        case AlreadyDone(request_id, cost_nanousd):
            return Refusal(
                "already_done",
                f"a request with this Idempotency-Key was served as {request_id}",
                numbers={"request_id": request_id, "cost_usd": format_usd(cost_nanousd)},
            )
        case OtherBody(request_id):
            return Refusal(
                "idempotency_mismatch",
                f"this Idempotency-Key came before with another body, as {request_id}",
                numbers={"request_id": request_id},
            )
        case NotLoaded(budget_id):
            raise EnforcementUnavailable(f"budget {budget_id} is being loaded; not loaded is never empty")
        case Overloaded(reason):
            raise EnforcementUnavailable(f"admission is paused: {reason}")
        case _:
            raise EnforcementUnavailable(f"the reservation was answered {type(outcome).__name__}")


def _unknown_customer(reason: str, retry_after_ms: int) -> Refusal:
    if reason == "too_many":
        return Refusal(
            "rate_limited",
            "too many customers were seen for the first time this hour",
            numbers={"limited": "new_customers"},
            retry_after_ms=max(1, retry_after_ms),
        )
    if reason == "no_default":
        return Refusal(
            "customer_unknown", "this customer is not known, and no default budget is set for unknown ones"
        )
    raise EnforcementUnavailable("this customer is only just being made known here; try again")


def _exceeded(budget: BudgetState) -> Refusal:
    turns = _iso(budget.window_end_ms)
    return Refusal(
        "budget_exceeded",
        f"budget {budget.budget_id} has ${format_usd(budget.left_nanousd)} left of "
        f"${format_usd(budget.limit_nanousd)}; this request needs at least ${format_usd(budget.needed_nanousd)}. "
        + (
            f"The budget's window turns at {turns}"
            if turns
            else "The budget's window does not turn: raise its limit"
        ),
        numbers=_numbers(budget),
    )


def _numbers(budget: BudgetState) -> dict[str, str | int | None]:
    return {
        "budget_id": budget.budget_id,
        "limit_usd": format_usd(budget.limit_nanousd),
        "spent_usd": format_usd(budget.spent_nanousd),
        "held_usd": format_usd(budget.held_nanousd),
        "left_usd": format_usd(budget.left_nanousd),
        "needed_usd": format_usd(budget.needed_nanousd),
        "resets_at": _iso(budget.window_end_ms),
    }


def _iso(at_ms: int) -> str | None:
    if at_ms >= NEVER_MS:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
