"""The tables of billing, one idea a file."""

from __future__ import annotations

from billing.models.billing_cursor import BillingCursor, PeriodClose, Unsealed
from billing.models.customer_map import CustomerMap
from billing.models.dunning import DunningCase, DunningPolicy
from billing.models.exchange_rate import ExchangeRate
from billing.models.ledger import DeadLetter, DriftReport, LedgerRow, TagSet
from billing.models.month_close import MonthClose
from billing.models.period_invoice import PeriodInvoice
from billing.models.prepaid import PrepaidBudget, PrepaidEntry, TopUp
from billing.models.push import Push, PushAttempt
from billing.models.push_destination import PushDestination
from billing.models.recon_row import ReconRow
from billing.models.stripe_connection import StripeConnection
from billing.models.stripe_event import HookRefusal, ReportedSpan, StripeEvent
from billing.models.stripe_meter import StripeMeter

__all__ = [
    "BillingCursor",
    "CustomerMap",
    "DeadLetter",
    "DriftReport",
    "DunningCase",
    "DunningPolicy",
    "ExchangeRate",
    "HookRefusal",
    "LedgerRow",
    "MonthClose",
    "PeriodClose",
    "PeriodInvoice",
    "PrepaidBudget",
    "PrepaidEntry",
    "Push",
    "PushAttempt",
    "PushDestination",
    "ReconRow",
    "ReportedSpan",
    "StripeConnection",
    "StripeEvent",
    "StripeMeter",
    "TagSet",
    "TopUp",
    "Unsealed",
]
