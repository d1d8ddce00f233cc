"""Where in time a push stands: its bucket, its stamp, whether it is late, and the identifier all of it leads to. Pure.

One push per customer, meter and minute: a summary of that minute then proves a single push.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
# Stripe takes stamps of the last 35 days; a day is left for retries.
STAMP_AGE_MAX = timedelta(days=34)
# How long Stripe keeps a period's invoice a draft unless told otherwise; afterwards usage in it is billed nowhere.
DRAFT = timedelta(hours=1)
# A stamp may lie a little ahead: Stripe takes five minutes.
AHEAD_MAX = timedelta(minutes=4)
IDENTIFIER_PREFIX = "um1-"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A span of usage that becomes one push: an hour, or the part of it on one side of a period's edge."""

    start: datetime
    end: datetime

    @property
    def stamp(self) -> datetime:
        """The last second that belongs to it."""
        return self.end - SECOND


def hour_of(instant: datetime) -> datetime:
    """Cut an instant to its hour."""
    return instant.replace(minute=0, second=0, microsecond=0)


def minute_no(instant: datetime) -> int:
    """Number the minute of an instant since the epoch."""
    return int(instant.timestamp()) // 60


def bucket_of(at: datetime, edges: Iterable[datetime]) -> Bucket:
    """Find the bucket of a moment: its hour, cut at the edges of billing periods. An edge begins the next."""
    start, end = hour_of(at), hour_of(at) + HOUR
    for edge in edges:
        if start < edge <= at:
            start = edge
        elif at < edge < end:
            end = edge
    return Bucket(start, end)


def closed_before(
    now: datetime, edges: Iterable[datetime], closed_until: datetime | None = None
) -> datetime | None:
    """Find the instant before which invoices are final: as told, or an edge whose draft has had its time."""
    final = [edge for edge in edges if edge + DRAFT <= now]
    return max([*final, *([closed_until] if closed_until else [])], default=None)


def is_late(stamp: datetime, *, now: datetime, closed: datetime | None) -> bool:
    """Tell whether a stamp would be refused for its age or bill nobody because its invoice is final."""
    return stamp < now - STAMP_AGE_MAX or (closed is not None and stamp < closed)


def free_stamp(bucket: Bucket, taken_minutes: Collection[int]) -> datetime | None:
    """Find a stamp within a bucket whose minute no other push has: the latest there is."""
    return _first_free(_backwards(bucket.stamp, bucket.start), taken_minutes)


def free_stamp_now(now: datetime, closed: datetime | None, taken_minutes: Collection[int]) -> datetime | None:
    """Find a stamp for what is late: now, else a minute close to it that bills in the open period."""
    whole = now.replace(microsecond=0)
    oldest = max(whole - HOUR, closed) if closed is not None else whole - HOUR
    return _first_free([*_backwards(whole, oldest), *_forwards(whole)], taken_minutes)


def make_identifier(*names: str, bucket_start: datetime, seq: int) -> str:
    """Name a push after what it is about (tenant, connection, meter, customer), its bucket and its number there.

    A database that was restored and seals a bucket again arrives at the same name.
    """
    text = "|".join((*names, str(int(bucket_start.timestamp())), str(seq)))
    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()
    return IDENTIFIER_PREFIX + digest[:40]


def _backwards(newest: datetime, oldest: datetime) -> Iterator[datetime]:
    while newest >= oldest:
        yield newest
        newest -= MINUTE


def _forwards(now: datetime) -> Iterator[datetime]:
    instant = now + MINUTE
    while instant <= now + AHEAD_MAX:
        yield instant
        instant += MINUTE


def _first_free(stamps: Iterable[datetime], taken_minutes: Collection[int]) -> datetime | None:
    return next((stamp for stamp in stamps if minute_no(stamp) not in taken_minutes), None)
