"""Unresolved money: what was booked at the quote because nobody knows what the provider billed."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet, Sum

from billing.models import LedgerRow
from enforcement.keys import Scope

UNRESOLVED = "unresolved"


def unresolved_rows(scope: Scope) -> QuerySet[LedgerRow]:
    """The rows whose truth is still to come: unresolved, and no correction has followed."""
    # A correction is booked in the month of the hold it corrects, so one partition answers.
    corrections = LedgerRow.objects.for_scope(scope).filter(
        month=OuterRef("month"), corrects=OuterRef("event_id")
    )
    return LedgerRow.objects.for_scope(scope).filter(~Exists(corrections), basis=UNRESOLVED, corrects="")


def unresolved_sum(scope: Scope) -> tuple[int, int]:
    """How many unresolved rows there are and what was charged for them."""
    rows = unresolved_rows(scope)
    total = rows.aggregate(charge=Sum("charge_nanousd"))["charge"]
    return rows.count(), int(total or 0)
