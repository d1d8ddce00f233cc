"""The tables of billing, one idea a file."""

from __future__ import annotations

from billing.models.ledger import DeadLetter, DriftReport, LedgerRow, TagSet

__all__ = ["DeadLetter", "DriftReport", "LedgerRow", "TagSet"]
