"""Ledger rows read by the hold and worked out again, as many as there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby, islice
from operator import attrgetter

from billing.ledger.recompute import COLUMNS, Outcome, Row, Verdict, recompute_hold, row_of
from billing.models import LedgerRow
from metering.ids import month_of
from tenants.base_books import PriceShelf

ROWS_PER_BATCH = 5_000
BAD = frozenset({Verdict.DIFFERENT, Verdict.UNPRICED, Verdict.UNREADABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows: one event's or request's, or those of a span of time, of one tenant or of all."""

    event_id: str = ""
    request_id: str = ""
    start: datetime | None = None
    end: datetime | None = None
    tenant_id: str = ""
    mode: str = ""


@dataclass(slots=True)
class Replay:
    """What came of replaying: rows by verdict, and the first of those that do not agree."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    bad: list[Outcome] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every row follows from what stands on it."""
        return not any(self.counts[verdict] for verdict in BAD)


def replay(selection: Selection, *, shown_max: int = 100) -> Replay:
    """Work out every selected row again, a batch at a time."""
    shelf, result = PriceShelf(), Replay()
    for batch in _batches(_holds(_rows(selection))):
        shelf.fetch({price_id for hold in batch for row in hold for price_id in row.used_prices})
        for hold in batch:
            for outcome in recompute_hold(hold, shelf.find):
                result.counts[outcome.verdict] += 1
                if outcome.verdict in BAD and len(result.bad) < shown_max:
                    result.bad.append(outcome)
    return result


def _rows(selection: Selection) -> Iterator[Row]:
    rows = LedgerRow.objects.order_by("month", "event_id")
    if selection.event_id:
        hold_id = selection.event_id.partition(".")[0]
        rows = rows.filter(
            month=month_of(selection.event_id), event_id__gte=f"{hold_id}.", event_id__lt=f"{hold_id}/"
        )
    if selection.request_id:
        rows = rows.filter(request_id=selection.request_id)
    if selection.start:
        rows = rows.filter(month__gte=_month(selection.start), started_at__gte=selection.start)
    if selection.end:
        # A hold is born moments after its request began, perhaps in the next month.
        rows = rows.filter(month__lte=_month(selection.end + timedelta(days=1)), started_at__lt=selection.end)
    for name in ("tenant_id", "mode"):
        if getattr(selection, name):
            rows = rows.filter(**{name: getattr(selection, name)})
    return map(row_of, rows.values_list(*COLUMNS).iterator(ROWS_PER_BATCH))


def _holds(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows come in the order of their event ids, so those of a hold come together."""
    for _, hold in groupby(rows, key=attrgetter("hold_id")):
        yield list(hold)


def _batches(holds: Iterator[list[Row]]) -> Iterator[list[list[Row]]]:
    while batch := list(islice(holds, ROWS_PER_BATCH)):
        yield batch


def _month(at: datetime) -> date:
    return at.date().replace(day=1)
