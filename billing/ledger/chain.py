"""A chain of links recomputed: what a link must say, and which row of it is not what was booked. Pure.

A link's digest is sha-256 over the digest before it, its own head and the digests of its rows in order; a row's digest
is sha-256 over its canonical bytes (``billing.ledger.chain_sql``).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from billing.ledger.chain_sql import VERSION

DIGEST_BYTES = 32
# The types of a head's columns, as PostgreSQL numbers them.
_INT4, _INT8, _TEXT = 23, 20, 25


@dataclass(frozen=True, slots=True)
class Link:
    """One link as it is stored: a batch of rows of one tenant and mode, in the order of their positions."""

    tenant_id: str
    mode: str
    number: int
    version: int
    previous: bytes
    digest: bytes
    row_count: int
    event_ids: Sequence[str]
    row_digests: bytes

    def row_digest(self, place: int) -> bytes:
        """What the row at a place had as its digest when it was booked."""
        return self.row_digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]


@dataclass(frozen=True, slots=True)
class BookedRow:
    """A row as it is read now: its canonical bytes and its position."""

    canonical: bytes
    position: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was booked. ``what``: link, changed, missing, reordered, extra, correction or sum."""

    what: str
    where: str  # tenant and mode
    detail: str
    link: int = 0
    event_id: str = ""


def link_digest(link: Link) -> bytes:
    """Work out a link's digest from what it says."""
    return hashlib.sha256(link.previous + head_bytes(link) + link.row_digests).digest()


def head_bytes(link: Link) -> bytes:
    """What a link says of itself, in the binary form of a record."""
    values = (
        (_INT4, struct.pack("!i", link.version)),
        (_TEXT, link.tenant_id.encode()),
        (_TEXT, link.mode.encode()),
        (_INT8, struct.pack("!q", link.number)),
        (_INT8, struct.pack("!q", link.row_count)),
    )
    parts = [struct.pack("!i", len(values))]
    parts += [struct.pack("!ii", kind, len(value)) + value for kind, value in values]
    return b"".join(parts)


def judge_link(link: Link, *, after: tuple[int, bytes]) -> list[Finding]:
    """Hold a link against the one before it (number, digest) and against itself."""
    number, digest = after
    where = f"{link.tenant_id} {link.mode}"
    found = []
    if link.number != number + 1:
        detail = f"links {number + 1} to {link.number - 1} are missing"
        found.append(Finding("link", where, detail, link.number))
    elif link.previous != digest:
        found.append(Finding("link", where, f"does not follow link {number}", link.number))
    if link.version != VERSION:
        found.append(Finding("link", where, f"is of version {link.version}, unknown here", link.number))
    elif link_digest(link) != link.digest:
        found.append(Finding("link", where, "its digest is not that of what it says", link.number))
    counts = {link.row_count, len(link.event_ids), len(link.row_digests) // DIGEST_BYTES}
    if len(counts) > 1:
        found.append(Finding("link", where, "its count, ids and digests differ in number", link.number))
    return found


def judge_rows(link: Link, places: Sequence[int], rows: Mapping[str, BookedRow]) -> list[Finding]:
    """Hold the rows at some places of a link against what was booked; rows that are not there are missing."""
    where = f"{link.tenant_id} {link.mode}"
    found: list[Finding] = []
    order: dict[str, int] | None = None
    for place in places:
        event_id = link.event_ids[place]
        row = rows.get(event_id)
        what, detail = "changed", "is not what was booked"
        if row is None:
            what, detail = "missing", "was booked and is not there"
        elif hashlib.sha256(row.canonical).digest() == link.row_digest(place):
            continue
        else:
            order = order or _order_of(link, rows)
            if order[event_id] != place:
                what, detail = (
                    "reordered",
                    f"was number {place + 1} of its link, stands as {order[event_id] + 1}",
                )
        found.append(
            Finding(what, where, f"{detail} (row {place + 1} of {link.row_count})", link.number, event_id)
        )
    return found


def _order_of(link: Link, rows: Mapping[str, BookedRow]) -> dict[str, int]:
    """Each row's place by the position it has now; one that is not there keeps the place it had."""
    standing = [event_id for event_id in link.event_ids if event_id in rows]
    ordered = iter(sorted(standing, key=lambda event_id: (rows[event_id].position, event_id)))
    return {
        (next(ordered) if event_id in rows else event_id): place
        for place, event_id in enumerate(link.event_ids)
    }
