"""Cut from the streams what the ledger has, but never what it might have to be fed again."""

from __future__ import annotations

from django.db import connections

from billing.ledger.feed import Feed

# A PostgreSQL that was restored to up to an hour ago is made whole from the streams.
KEPT_MS = 3_600_000


def trim_streams(feed: Feed) -> int:
    """Trim every recorded stream below its mark and past the safety span; returns how many entries went."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT shard, stream_id, dead_stream_id FROM shard_mark")
        marks = cursor.fetchall()
    oldest_kept = (feed.now_ms() - KEPT_MS, 0)
    return feed.trim(
        {
            shard: (_written(min(_parsed(usage), oldest_kept)), _written(min(_parsed(dead), oldest_kept)))
            for shard, usage, dead in marks
        }
    )


def _parsed(stream_id: str) -> tuple[int, int]:
    born_ms, _, number = stream_id.partition("-")
    return int(born_ms), int(number or 0)


def _written(stream_id: tuple[int, int]) -> str:
    return f"{stream_id[0]}-{stream_id[1]}"
