"""What the books cannot do, as one tree.

BillingError
├── LedgerAway       PostgreSQL cannot take rows now: wait and go on
└── Unbookable       PostgreSQL refuses these very rows: find the poisoned one and book the others
"""

from __future__ import annotations


class BillingError(Exception):
    """Root of what the books cannot do."""

    code = "billing_error"


class LedgerAway(BillingError):
    """PostgreSQL cannot take rows now (down, read-only, full, not migrated): nothing is lost by waiting."""

    code = "ledger_away"


class Unbookable(BillingError):
    """PostgreSQL refuses these rows because of what is in them."""

    code = "unbookable"
