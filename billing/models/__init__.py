"""The tables of billing, one idea a file."""

from __future__ import annotations

from billing.models.customer_map import CustomerMap
from billing.models.ledger import DeadLetter, DriftReport, LedgerRow, TagSet
from billing.models.stripe_connection import StripeConnection
from billing.models.stripe_meter import StripeMeter

__all__ = [
    "CustomerMap",
    "DeadLetter",
    "DriftReport",
    "LedgerRow",
    "StripeConnection",
    "StripeMeter",
    "TagSet",
]
