"""What the keeper and the checks ask of the books: sums by window, how far a shard is, whether a hold has rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from django.db import connections

from billing.ledger.statements import ROLLUP_COLUMNS, ROLLUP_SELECT, WINDOW_COLUMNS, WINDOW_SELECT
from enforcement.calls import BookedDraw
from enforcement.control_calls import EndedHold, RecorderMark
from enforcement.keys import Scope
from enforcement.policies import Measure
from metering.ids import month_of

_SUMS = """
SELECT tenant_id, mode, budget_id, window_id, sum(spent_nanousd)::bigint FROM budget_window
WHERE {where} GROUP BY tenant_id, mode, budget_id, window_id ORDER BY tenant_id, mode, budget_id, window_id
"""

_HOLDS_WITH_ROWS = """
SELECT hold_id FROM unnest(%s::text[], %s::date[]) AS wanted (hold_id, month) WHERE EXISTS (
    SELECT 1 FROM ledger_row WHERE ledger_row.month = wanted.month
    AND event_id >= (wanted.hold_id || '.') COLLATE "C" AND event_id < (wanted.hold_id || '/') COLLATE "C")
"""

# The month follows from the hold's id, and '/' follows '.': a prefix of the primary key, in one partition each.
_ROWS_OF_HOLDS = """
SELECT booked.hold_id, tenant_id, mode, kind, basis, cost_nanousd, charge_nanousd, draws
FROM unnest(%s::text[], %s::date[]) AS wanted (hold_id, month) JOIN ledger_row AS booked
  ON booked.month = wanted.month AND booked.event_id >= (wanted.hold_id || '.') COLLATE "C"
 AND booked.event_id < (wanted.hold_id || '/') COLLATE "C"
ORDER BY booked.event_id
"""

_EXPIRED_SINCE = """
SELECT booked.hold_id, booked.tenant_id, booked.mode, booked.kind, booked.basis, booked.cost_nanousd,
       booked.charge_nanousd, booked.draws
FROM ledger_row AS expired JOIN ledger_row AS booked
  ON booked.month = expired.month AND booked.event_id >= (expired.hold_id || '.') COLLATE "C"
 AND booked.event_id < (expired.hold_id || '/') COLLATE "C"
WHERE expired.recorded_at >= %s AND expired.kind = 'expired' AND expired.shard = ANY(%s)
ORDER BY booked.event_id
"""

_MARKS = """
SELECT shard, greatest(epoch, seen_epoch), CASE WHEN epoch >= seen_epoch THEN seq ELSE 0 END, stream_id
FROM shard_mark WHERE shard = ANY(%s)
"""

_SUM_UPTO = """
SELECT coalesce(sum({column}), 0)::bigint FROM ledger_row
WHERE tenant_id = %(tenant_id)s AND mode = %(mode)s AND (epoch, seq) <= (%(epoch)s, %(seq)s)
  AND started_at >= timestamptz 'epoch' + %(start_ms)s * interval '1 millisecond'
  AND started_at < timestamptz 'epoch' + %(end_ms)s * interval '1 millisecond'
  AND (%(customer_id)s = '' OR customer_id = %(customer_id)s) AND (%(key_id)s = '' OR key_id = %(key_id)s)
  AND month >= %(first_month)s
"""

_BOOKED = "(SELECT * FROM ledger_row WHERE {where}) AS booked"

_DIFFERENCES = """
WITH kept AS (SELECT {columns} FROM {table} WHERE {where}), made AS (SELECT {columns} FROM ({select}) AS rows)
SELECT 'kept but not booked', * FROM (SELECT * FROM kept EXCEPT SELECT * FROM made) AS only_kept
UNION ALL
SELECT 'booked but not kept', * FROM (SELECT * FROM made EXCEPT SELECT * FROM kept) AS only_made
LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class WindowSum:
    """What the ledger says a budget has spent in one window."""

    scope: Scope
    budget_id: str
    window_id: str
    spent_nanousd: int


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a shard's order of events."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which rows a budget that is loaded under traffic has to count: begun in [start, end), in its own scope."""

    scope: Scope
    measure: Measure
    start_ms: int
    end_ms: int
    customer_id: str = ""
    key_id: str = ""


def sums_by_budget_window(*, shard: int | None = None, scope: Scope | None = None) -> list[WindowSum]:
    """Return ``spent`` by budget and window from the recorder's sums, of a whole shard or of one tenant."""
    if scope is not None:
        rows = _rows(_SUMS.format(where="tenant_id = %s AND mode = %s"), [scope.tenant_id, scope.mode])
    else:
        rows = _rows(_SUMS.format(where="shard = %s"), [shard])
    return [WindowSum(Scope(tenant_id, mode), *rest) for tenant_id, mode, *rest in rows]


def hold_ids_with_rows(hold_ids: Iterable[str]) -> set[str]:
    """Return which of these holds the ledger knows an end of."""
    by_id = {hold_id: month_of(hold_id) for hold_id in hold_ids}
    if not by_id:
        return set()
    months: list[date] = list(by_id.values())
    return {row[0] for row in _rows(_HOLDS_WITH_ROWS, [list(by_id), months])}


def marks(shards: Sequence[int]) -> dict[int, RecorderMark]:
    """Return how far shards are recorded. An epoch the recorder has seen counts, even before its first event."""
    rows = _rows(_MARKS, [list(shards)])
    return {shard: RecorderMark(epoch, seq, stream_id) for shard, epoch, seq, stream_id in rows}


def highest_epoch(shard: int) -> int:
    """Return the highest epoch the ledger knows of a shard; 0 for none."""
    return marks([shard]).get(shard, RecorderMark()).epoch


def shards_left_behind(epochs: Mapping[int, int]) -> set[int]:
    """Return the shards whose recorder may still commit what it read before the epoch given."""
    rows = _rows("SELECT shard, seen_epoch FROM shard_mark WHERE shard = ANY(%s)", [list(epochs)])
    seen = dict(rows)
    return {shard for shard, epoch in epochs.items() if seen.get(shard, 0) < epoch}


def ended_holds(hold_ids: Iterable[str]) -> list[EndedHold]:
    """Return those of these holds that the ledger has rows for, with what is booked for each in all."""
    by_id = {hold_id: month_of(hold_id) for hold_id in hold_ids}
    return _ended(_ROWS_OF_HOLDS, [list(by_id), list(by_id.values())]) if by_id else []


def holds_expired_since(shards: Sequence[int], since: datetime) -> list[EndedHold]:
    """Return the holds of these shards that were recorded as expired since an instant."""
    return _ended(_EXPIRED_SINCE, [since, list(shards)])


def is_ledger_empty() -> bool:
    """Tell a first start from any other."""
    return _rows("SELECT NOT EXISTS (SELECT 1 FROM ledger_row)", [])[0][0] is True


def rows_sum_upto(span: Span, position: Position) -> int:
    """Sum the rows of a span up to a position: what a budget opened at that position had missed."""
    statement = _SUM_UPTO.format(column="cost_nanousd" if span.measure == "cost" else "charge_nanousd")
    parameters = {
        "tenant_id": span.scope.tenant_id,
        "mode": span.scope.mode,
        "epoch": position.epoch,
        "seq": position.seq,
        "first_month": _month_before(span.start_ms),
        "start_ms": span.start_ms,
        "end_ms": span.end_ms,
        "customer_id": span.customer_id,
        "key_id": span.key_id,
    }
    return int(_rows(statement, parameters)[0][0])


def differences(*, rows_max: int = 20, tenant_id: str = "", mode: str = "") -> list[tuple[Any, ...]]:
    """Compare rollups and budget windows with the rows themselves (I4); empty when the books agree. Reads it all, or
    all of one tenant or mode.
    """
    given = {"tenant_id": tenant_id, "mode": mode, "most": rows_max}
    where = " AND ".join(["true", *(f"{name} = %({name})s" for name in ("tenant_id", "mode") if given[name])])
    found: list[tuple[Any, ...]] = []
    for table, columns, select in (
        ("usage_rollup", ROLLUP_COLUMNS, ROLLUP_SELECT),
        ("budget_window", WINDOW_COLUMNS, WINDOW_SELECT),
    ):
        statement = _DIFFERENCES.format(
            columns=", ".join(columns),
            table=table,
            where=where,
            select=select.format(rows=_BOOKED.format(where=where)),
        )
        found += [(table, *row) for row in _rows(statement, given)]
    return found


def _month_before(start_ms: int) -> date:
    # A hold may be born a little before its call begins: a day's room finds its partition.
    day = datetime.fromtimestamp(max(0, start_ms) / 1000, UTC) - timedelta(days=1)
    return date(day.year, day.month, 1)


def _ended(statement: str, parameters: Sequence[Any]) -> list[EndedHold]:
    by_hold: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for hold_id, *rest in _rows(statement, parameters):
        by_hold[hold_id].append(tuple(rest))
    return [_ended_hold(hold_id, rows) for hold_id, rows in by_hold.items()]


def _ended_hold(hold_id: str, rows: Sequence[tuple[Any, ...]]) -> EndedHold:
    tenant_id, mode, *_, draws = rows[0]
    return EndedHold(
        scope=Scope(tenant_id, mode),
        hold_id=hold_id,
        state=_state({kind for _, _, kind, *_ in rows}, {row[3] for row in rows if row[2] == "correction"}),
        cost_nanousd=sum(row[4] for row in rows),
        charge_nanousd=sum(row[5] for row in rows),
        draws=tuple(BookedDraw(*draw) for draw in json.loads(draws)),
        corrections=sum(row[2] == "correction" for row in rows),
    )


def _state(kinds: set[str], corrected_by: set[str]) -> Literal["settled", "released", "expired"]:
    # An expiry that a late end has corrected has ended for certain: nothing may correct it again by itself.
    if "settled" in kinds or corrected_by & {"reported", "estimated"}:
        return "settled"
    return "released" if "released" in kinds or "none" in corrected_by else "expired"


def _rows(statement: str, parameters: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
    with connections["default"].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
