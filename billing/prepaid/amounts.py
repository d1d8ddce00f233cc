"""What a payment is worth to its customer, from what Stripe says of it now: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from billing.models import PrepaidEntry, TopUp
from billing.stripe.objects import CheckoutSession, Dispute, Payment, Refund

CURRENCY = "usd"
NANOUSD_PER_CENT = 10_000_000
_KIND = PrepaidEntry.Kind
# A refund that is on its way is gone already; one that came back is not.
_REFUND_OVER = frozenset({"failed", "canceled"})
# The bank has the money while a dispute runs, and keeps it when it is lost. Warnings move none.
_DISPUTE_HOLDS = frozenset({"needs_response", "under_review", "lost"})


@dataclass(frozen=True, slots=True)
class Worth:
    """What one object at Stripe adds to a customer's credit; negative for what it takes."""

    source_id: str
    kind: str
    amount_nanousd: int


def worth_of(
    session: CheckoutSession, payment: Payment | None, refunds: Iterable[Refund], disputes: Iterable[Dispute]
) -> list[Worth]:
    """Work out what each object of a payment is worth; together never less than nothing."""
    if payment is None:
        return []
    left_minor = payment.received_minor if _has_arrived(session, payment) else 0
    found = [Worth(payment.id, _KIND.PAYMENT, left_minor * NANOUSD_PER_CENT)]
    takers = [
        *((each.id, _KIND.REFUND, each.amount_minor, each.status not in _REFUND_OVER) for each in refunds),
        *((each.id, _KIND.DISPUTE, each.amount_minor, each.status in _DISPUTE_HOLDS) for each in disputes),
    ]
    for source_id, kind, amount_minor, takes in takers:
        taken_minor = min(amount_minor, left_minor) if takes else 0
        left_minor -= taken_minor
        found.append(Worth(source_id, kind, -taken_minor * NANOUSD_PER_CENT))
    return found


def status_of(session: CheckoutSession, payment: Payment | None) -> TopUp.Status:
    """Where a top-up stands."""
    if session.status == "open":
        return TopUp.Status.OPEN
    if session.status == "expired":
        return TopUp.Status.EXPIRED
    if payment is not None and _has_arrived(session, payment):
        return TopUp.Status.PAID
    on_its_way = payment is None or payment.status in {"processing", "requires_capture", "succeeded"}
    return TopUp.Status.PROCESSING if on_its_way else TopUp.Status.FAILED


def _has_arrived(session: CheckoutSession, payment: Payment) -> bool:
    """Both must say so: a session that is complete may still wait for its money."""
    return (
        session.payment_status == "paid"
        and payment.status == "succeeded"
        and session.payment_intent_id == payment.id
        and session.currency == payment.currency == CURRENCY
    )
