"""What subscriptions and disputes say about paying, and what follows from a tenant's policy: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from billing.models import DunningCase, DunningPolicy
from billing.stripe.objects import Subscription
from tenants.actions.restrictions import Restriction

_REASON = DunningCase.Reason
_MEASURE = DunningPolicy.Measure
_OF_STATUS = {"past_due": _REASON.PAST_DUE, "unpaid": _REASON.UNPAID, "canceled": _REASON.CANCELED}
_LIVING = frozenset({"active", "trialing", "past_due", "unpaid", "paused"})
# A dispute is open while the bank has the money and nobody has decided; a lost one was never paid for.
_DISPUTED = frozenset({"needs_response", "under_review", "lost"})
_WORDS = {
    _REASON.PAST_DUE: "a payment is past due",
    _REASON.UNPAID: "the subscription is unpaid",
    _REASON.CANCELED: "the subscription was canceled",
    _REASON.DISPUTED: "a payment is disputed",
}


@dataclass(frozen=True, slots=True)
class Consequence:
    """All that follows from a customer's open cases; ``cap_nanousd`` None = no further budget."""

    restriction: Restriction
    cap_nanousd: int | None = None


def reasons_of(
    subscriptions: Iterable[Subscription], price_ids: Collection[str], known_id: str
) -> dict[str, str]:
    """Find what is wrong with a customer's subscriptions on our prices, by the subscription's id.

    One that was canceled counts only where no other took its place.
    """
    ours = [
        each
        for each in subscriptions
        if each.id == known_id or any(item.price_id in price_ids for item in each.items)
    ]
    goes_on = any(each.status in _LIVING for each in ours)
    wrong = [each for each in ours if each.status in _OF_STATUS]
    return {
        each.id: str(_OF_STATUS[each.status]) for each in wrong if not (each.status == "canceled" and goes_on)
    }


def is_disputed(status: str) -> bool:
    """Whether a dispute of this status is a reason."""
    return status in _DISPUTED


def consequence_of(reasons: Iterable[str], policy: DunningPolicy) -> Consequence:
    """Work out what follows: every measure that the policy has for one of the reasons."""
    by_measure: dict[str, list[str]] = {}
    for reason in sorted(set(reasons)):
        by_measure.setdefault(policy.measure_for(reason), []).append(_WORDS[_REASON(reason)])
    acting = {measure: words for measure, words in by_measure.items() if measure != _MEASURE.NOTHING}
    why = "; ".join(word for words in acting.values() for word in words)
    restriction = Restriction(
        is_suspended=_MEASURE.SUSPEND in acting,
        requests_per_minute=policy.throttle_requests_per_minute if _MEASURE.THROTTLE in acting else 0,
        why=why,
    )
    return Consequence(restriction, policy.cap_nanousd if _MEASURE.CAP in acting else None)
