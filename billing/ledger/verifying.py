"""The ledger held against its chains: one pass over links and rows, in one snapshot, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg
from django.db import connections, transaction

from billing.ledger.chain import BookedRow, Finding, Link, judge_link, judge_rows
from billing.ledger.chain_sql import GENESIS, canonical
from billing.ledger.queries import differences
from enforcement.keys import Scope
from metering.ids import month_of

ROWS_PER_BATCH = 2_000
LINKS_PER_READ = 20
FOUND_MAX = 1_000

_CHAINS = """
SELECT tenant_id, mode FROM ledger_link UNION SELECT tenant_id, mode FROM ledger_row ORDER BY 1, 2
"""

_HEADS = """
SELECT DISTINCT ON (tenant_id, mode) tenant_id, mode, number, digest FROM ledger_link
ORDER BY tenant_id, mode, number DESC
"""

_LINKS = """
SELECT tenant_id, mode, number, version, previous, digest, row_count, event_ids, row_digests FROM ledger_link
WHERE tenant_id = %s AND mode = %s AND number >= %s ORDER BY number
"""

# A batch is some places in the primary key: the limit keeps PostgreSQL from reading a whole month for each.
_ROWS = f"""
SELECT found.* FROM unnest(%s::text[], %s::date[]) AS wanted (event_id, month) CROSS JOIN LATERAL (
    SELECT booked.event_id, {canonical("booked")}, booked.epoch, booked.seq FROM ledger_row AS booked
    WHERE booked.month = wanted.month AND booked.event_id = wanted.event_id COLLATE "C" LIMIT 1
) AS found
"""  # noqa: S608 - made of our own names only

_EXTRA = """
SELECT booked.event_id, booked.recorded_at FROM ledger_row AS booked LEFT JOIN (
    SELECT unnest(event_ids) COLLATE "C" AS event_id FROM ledger_link WHERE tenant_id = %(tenant)s AND mode = %(mode)s
) AS linked ON linked.event_id = booked.event_id
WHERE booked.tenant_id = %(tenant)s AND booked.mode = %(mode)s AND linked.event_id IS NULL
  AND (%(month)s::date IS NULL OR booked.month = %(month)s::date)
ORDER BY booked.month, booked.event_id LIMIT %(most)s
"""

# A correction is booked in the month of the hold it corrects.
_UNFOUNDED = """
SELECT event_id, corrects FROM ledger_row AS correction
WHERE tenant_id = %(tenant)s AND mode = %(mode)s AND corrects <> '' AND NOT EXISTS (
    SELECT 1 FROM ledger_row AS booked WHERE booked.month = correction.month AND booked.event_id = correction.corrects
      AND booked.tenant_id = correction.tenant_id AND booked.mode = correction.mode)
  AND (%(month)s::date IS NULL OR month = %(month)s::date)
ORDER BY month, event_id LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What to verify: one tenant's chains or all, one mode or both, rows of one month or of all, from a link on."""

    tenant_id: str = ""
    mode: str = ""
    month: date | None = None
    from_link: int = 1
    detached: frozenset[date] = frozenset()  # months kept elsewhere
    expected: frozenset[bytes] = frozenset()  # digests that must be in some chain


@dataclass(slots=True)
class Verified:
    """What a pass read and what it found."""

    chains: int = 0
    links: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)  # of the digests expected


def heads(selected: Selected) -> list[tuple[str, str, int, bytes]]:
    """Read the newest link of each chain: tenant, mode, number, digest. Kept elsewhere, it tells a tail cut off."""
    return [
        (tenant_id, mode, number, bytes(digest))
        for tenant_id, mode, number, digest in _rows(_HEADS, [])
        if _is_selected(selected, tenant_id, mode)
    ]


def verify(
    selected: Selected, *, told: Callable[[str, Verified], None] = lambda _where, _so_far: None
) -> Verified:
    """Recompute the selected chains and what is summed from their rows; ``told`` hears of progress."""
    result = Verified()
    with _snapshot():
        for tenant_id, mode in _rows(_CHAINS, []):
            if _is_selected(selected, tenant_id, mode):
                result.chains += 1
                _verify_chain(Scope(tenant_id, mode), selected, result, told)
        if selected.month is None:
            result.findings += _sum_findings(selected)
    missing = selected.expected - result.seen
    result.findings += [
        Finding("link", "-", f"no link has the digest {digest.hex()}: a tail was cut off, or links rewritten")
        for digest in sorted(missing)
    ]
    return result


def _verify_chain(
    scope: Scope, selected: Selected, result: Verified, told: Callable[[str, Verified], None]
) -> None:
    after: tuple[int, bytes] | None = (0, GENESIS) if selected.from_link <= 1 else None
    for links in _batches(_links(scope, selected.from_link)):
        rows = _booked(links, selected)
        for link in links:
            # Where a check begins in the middle, the link before it is believed.
            found = judge_link(link, after=after or (link.number - 1, link.previous))
            places = [place for place, each in enumerate(link.event_ids) if _is_checked(each, selected)]
            found += judge_rows(link, places, rows)
            result.findings += found[: max(0, FOUND_MAX - len(result.findings))]
            result.links += 1
            result.rows += len(places)
            if link.digest in selected.expected:
                result.seen.add(link.digest)
            after = link.number, link.digest
        told(f"{scope.tenant_id} {scope.mode}", result)
    result.findings += _row_findings(scope, selected)


def _row_findings(scope: Scope, selected: Selected) -> list[Finding]:
    given = {"tenant": scope.tenant_id, "mode": scope.mode, "month": selected.month, "most": 20}
    where = f"{scope.tenant_id} {scope.mode}"
    # Two long lists are compared: whatever PostgreSQL believes of their length, never one by one.
    _run("SET LOCAL enable_nestloop = off")
    extra = [
        Finding("extra", where, f"is in no link; recorded at {at.isoformat()}", event_id=event_id)
        for event_id, at in _rows(_EXTRA, given)
    ]
    _run("SET LOCAL enable_nestloop = on")
    return extra + [
        Finding("correction", where, f"corrects {corrects}, which is not booked", event_id=event_id)
        for event_id, corrects in _rows(_UNFOUNDED, given)
    ]


def _sum_findings(selected: Selected) -> list[Finding]:
    found = differences(tenant_id=selected.tenant_id, mode=selected.mode)
    return [
        Finding("sum", f"{row[2]} {row[3]}", f"{row[0]}: {row[1]}: {', '.join(map(str, row[4:]))}")
        for row in found
    ]


def _links(scope: Scope, from_link: int) -> Iterator[Link]:
    with psycopg.ServerCursor[tuple[Any, ...]](connections["default"].connection, "ledger_links") as cursor:
        cursor.itersize = LINKS_PER_READ
        cursor.execute(_LINKS, [scope.tenant_id, scope.mode, from_link], binary=True)
        for row in cursor:
            yield Link(*row)


def _batches(links: Iterable[Link]) -> Iterator[list[Link]]:
    batch: list[Link] = []
    rows = 0
    for link in links:
        batch.append(link)
        rows += len(link.event_ids)
        if rows >= ROWS_PER_BATCH:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _booked(links: Sequence[Link], selected: Selected) -> dict[str, BookedRow]:
    ids = [each for link in links for each in link.event_ids if _is_checked(each, selected)]
    months = {event_id: month for event_id in ids if (month := _month(event_id))}
    # Not Django's cursor: that one writes values into the statement and reads bytes as hex.
    with psycopg.Cursor[tuple[Any, ...]](connections["default"].connection) as cursor:
        cursor.execute(_ROWS, [list(months), list(months.values())], binary=True)
        return {event_id: BookedRow(row, (epoch, seq)) for event_id, row, epoch, seq in cursor}


def _is_checked(event_id: str, selected: Selected) -> bool:
    if selected.month is None and not selected.detached:
        return True
    month = _month(event_id)
    return month not in selected.detached and selected.month in (None, month)


def _month(event_id: str) -> date | None:
    """An event's month; None for an id that was written over: no row has it, so it is missing."""
    try:
        return month_of(event_id)
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def _is_selected(selected: Selected, tenant_id: str, mode: str) -> bool:
    return selected.tenant_id in ("", tenant_id) and selected.mode in ("", mode)


@contextmanager
def _snapshot() -> Iterator[None]:
    """Read one state of the books, however long it takes and whatever is booked meanwhile."""
    with transaction.atomic():
        _run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _run(statement: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def _rows(statement: str, parameters: Any) -> list[tuple[Any, ...]]:
    with connections["default"].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
