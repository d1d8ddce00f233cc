"""Unresolved money: what was booked at the quote because nobody knows what the provider billed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import Exists, OuterRef, QuerySet, Sum

from billing.models import LedgerRow
from enforcement.keys import Scope
from metering.ids import ALPHABET, month_of

UNRESOLVED = "unresolved"
# A first letter of 7 or more is a birth after the year 9744: no date can say it.
_EVENT_ID = re.compile(rf"[0-6][{ALPHABET}]{{25}}\.[a-z]{{1,20}}\.\d{{1,6}}")


def unresolved_rows(scope: Scope) -> QuerySet[LedgerRow]:
    """The rows whose truth is still to come: unresolved, and no correction has followed."""
    return _ever_unresolved(scope).filter(~Exists(_corrections(scope)))


def resolved_rows(scope: Scope) -> QuerySet[LedgerRow]:
    """The rows that were unresolved until a correction followed, by a person or by the call's own late end."""
    return _ever_unresolved(scope).filter(Exists(_corrections(scope)))


def unresolved_sum(scope: Scope) -> tuple[int, int]:
    """How many unresolved rows there are and what was charged for them."""
    rows = unresolved_rows(scope)
    total = rows.aggregate(charge=Sum("charge_nanousd"))["charge"]
    return rows.count(), int(total or 0)


def rows_by_event(scope: Scope, event_ids: Iterable[str]) -> dict[str, LedgerRow]:
    """The rows of these ids that are this tenant's and this mode's; all others are simply not there."""
    wanted = {event_id for event_id in event_ids if is_event_id(event_id)}
    months = {month_of(event_id) for event_id in wanted}
    rows = LedgerRow.objects.for_scope(scope).filter(month__in=months, event_id__in=wanted)
    return {row.event_id: row for row in rows}


def corrections_of(scope: Scope, rows: Sequence[LedgerRow]) -> dict[str, list[str]]:
    """The event ids of what corrects each of these rows, in the order they were booked."""
    months = {row.month for row in rows}
    found = LedgerRow.objects.for_scope(scope).filter(
        month__in=months, corrects__in=[row.event_id for row in rows]
    )
    by_row: defaultdict[str, list[str]] = defaultdict(list)
    for corrects, event_id in found.order_by("epoch", "seq").values_list("corrects", "event_id"):
        by_row[corrects].append(event_id)
    return by_row


def is_event_id(text: str) -> bool:
    """Whether a text can be an event's id at all."""
    return _EVENT_ID.fullmatch(text) is not None


def _ever_unresolved(scope: Scope) -> QuerySet[LedgerRow]:
    return LedgerRow.objects.for_scope(scope).filter(basis=UNRESOLVED, corrects="")


def _corrections(scope: Scope) -> QuerySet[LedgerRow]:
    # A correction is booked in the month of the hold it corrects, so one partition answers.
    return LedgerRow.objects.for_scope(scope).filter(month=OuterRef("month"), corrects=OuterRef("event_id"))
