"""What the books and their sinks cannot do, as one tree.

BillingError
├── LedgerAway       PostgreSQL cannot take rows now: wait and go on
├── Unbookable       PostgreSQL refuses these very rows: find the poisoned one and book the others
├── ErasurePending   a customer cannot be erased yet; names what has not ended
└── StripeFailed     Stripe did not do what was asked; carries its answer in our words
    └── NotConnected     there is no connection that could be used
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenants.errors import TenantsError, WrongState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.erasing.pending import Pending
    from billing.stripe.outcomes import Outcome


class BillingError(Exception):
    """Root of what the books cannot do."""

    code = "billing_error"


class LedgerAway(BillingError):
    """PostgreSQL cannot take rows now (down, read-only, full, not migrated): nothing is lost by waiting."""

    code = "ledger_away"


class Unbookable(BillingError):
    """PostgreSQL refuses these rows because of what is in them."""

    code = "unbookable"


class ErasurePending(BillingError, WrongState):
    """A customer cannot be erased yet: something of it has not ended."""

    code = "erasure_pending"

    def __init__(self, pending: Sequence[Pending]) -> None:
        self.pending = list(pending)
        named = "; ".join(f"{each.what}: {', '.join(each.ids[:5])} ({len(each.ids)})" for each in pending)
        super().__init__(f"the customer is shut, but this has not ended: {named}")


class StripeFailed(BillingError, TenantsError):
    """Stripe did not do what was asked. A refusal among the control plane's, so that pages and the API tell it."""

    code = "stripe_failed"

    def __init__(self, message: str, outcome: Outcome | None = None) -> None:
        self.outcome = outcome
        super().__init__(message)


class NotConnected(StripeFailed):
    """There is no connection to Stripe in this mode, or none that could be used."""

    code = "stripe_not_connected"
