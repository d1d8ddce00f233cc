"""Links: made with the rows they cover, in their order, once; and worked out again outside the database."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db.utils import ProgrammingError

from billing.ledger.chain import Link, link_digest
from billing.ledger.chain_sql import COLUMNS, GENESIS
from billing.ledger.recorder import Recorder
from billing.models import LedgerRow
from tests.billing.conftest import ACME, GLOBEX, Streams, body_of, sql

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

LINKS = (
    "SELECT tenant_id, mode, number, version, previous, digest, row_count, event_ids, row_digests FROM ledger_link "
    "ORDER BY tenant_id, mode, number"
)
OIDS = {str: 25, bool: 16, date: 1082, datetime: 1184}
SIZES = {"shard": (21, "!h"), "attempt": (23, "!i"), "upstream_status": (23, "!i")}


def links() -> list[Link]:
    return [
        Link(*(bytes(each) if isinstance(each, memoryview) else each for each in row)) for row in sql(LINKS)
    ]


def packed(name: str, value: Any) -> bytes:
    """A column's type, length and value, as docs/adr/0014 says; from what anybody reads of a row."""
    if name in {"extras", "draws"}:
        data = b"\x01" + json.dumps(value).encode()
        return struct.pack("!ii", 3802, len(data)) + data
    if name in SIZES or (isinstance(value, int) and not isinstance(value, bool)):
        oid, form = SIZES.get(name, (20, "!q"))
        if value is None:
            return struct.pack("!ii", oid, -1)
        data = struct.pack(form, value)
    elif isinstance(value, datetime):
        oid, data = (
            1184,
            struct.pack("!q", (value - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)),
        )
    else:
        oid = OIDS[type(value)]
        data = {
            str: lambda: value.encode(),
            bool: lambda: struct.pack("!?", value),
            date: lambda: struct.pack("!i", (value - date(2000, 1, 1)).days),
        }[type(value)]()
    return struct.pack("!ii", oid, len(data)) + data


def test_a_batch_is_one_link_per_tenant_and_mode_and_the_next_follows_it(
    streams: Streams, recorder: Recorder
) -> None:
    first = [streams.append(), streams.append(mode="live"), streams.append(GLOBEX), streams.append()]
    recorder.drain()
    second = streams.append()
    recorder.drain()

    found = links()

    assert [(link.tenant_id, link.mode, link.number, list(link.event_ids)) for link in found] == [
        (ACME, "live", 1, [first[1]]),
        (ACME, "test", 1, [first[0], first[3]]),
        (ACME, "test", 2, [second]),
        (GLOBEX, "test", 1, [first[2]]),
    ]
    assert [link.previous for link in found] == [GENESIS, GENESIS, found[1].digest, GENESIS]
    assert [link.digest for link in found] == [link_digest(link) for link in found]


def test_rows_stand_in_the_order_of_their_positions(streams: Streams, recorder: Recorder) -> None:
    late, early = streams.append(seq=90), streams.append(seq=80)
    recorder.drain()

    assert [list(link.event_ids) for link in links()] == [[early, late]]
    assert sql("SELECT first_epoch, first_seq, last_epoch, last_seq FROM ledger_link") == [(1, 80, 1, 90)]


def test_what_is_read_again_adds_no_link(streams: Streams, make_recorder: Callable[..., Recorder]) -> None:
    streams.append()
    first = make_recorder()
    first.drain()
    first.close()
    sql("DELETE FROM shard_mark", alias="owner")  # PostgreSQL has forgotten how far it was
    again = make_recorder()
    again.drain()
    fresh = streams.append()
    again.drain()

    assert [(link.number, list(link.event_ids)[-1] == fresh, link.row_count) for link in links()] == [
        (1, False, 1),
        (2, True, 1),
    ]


def test_a_row_that_cannot_be_booked_whole_is_chained_like_any(streams: Streams, recorder: Recorder) -> None:
    streams.append(body=b"{")
    streams.append()
    recorder.drain()

    assert sum(link.row_count for link in links()) == LedgerRow.objects.count() == 2


def test_a_digest_can_be_worked_out_from_a_row_as_anybody_reads_it(
    streams: Streams, recorder: Recorder
) -> None:
    body = body_of(model="modèle-✓", upstream_status=0, stream=True)
    streams.append(body=body, at_ms=1_795_000_000_123, charge=-5)
    recorder.drain()
    row = LedgerRow.objects.get()

    canonical = struct.pack("!i", len(COLUMNS)) + b"".join(
        packed(name, getattr(row, name)) for name in COLUMNS
    )

    assert hashlib.sha256(canonical).digest() == links()[0].row_digests
    assert row.upstream_status is None
    assert {field.name for field in LedgerRow._meta.fields} == {*COLUMNS, "pk", "recorded_at"}


@pytest.mark.parametrize("alias", ["default", "recorder"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_link SET row_count = 1",
        "DELETE FROM ledger_link",
        "TRUNCATE ledger_link",
        "ALTER TABLE ledger_link DISABLE TRIGGER ALL",
        "DROP TABLE ledger_link",
        "ALTER TABLE ledger_row DETACH PARTITION ledger_row_202611",
    ],
)
def test_neither_role_changes_links_or_takes_months_away(alias: str, change: str) -> None:
    sql("SELECT farebox_ensure_ledger_month('2026-11-05')", alias="recorder")

    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        sql(change, alias=alias)


def test_the_app_makes_no_links() -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        sql("INSERT INTO ledger_link DEFAULT VALUES")
