"""The ledger held against its chains: whatever an owner of the database changes is found and named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from billing.ledger.chain_sql import COLUMNS
from billing.ledger.recorder import Recorder
from billing.ledger.verifying import Finding, Selected, verify
from tests.billing.conftest import ACME, GLOBEX, Streams, sql

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

BATCHES, ROWS = 4, 5


@pytest.fixture
def booked(streams: Streams, recorder: Recorder) -> list[str]:
    """Acme's rows of some batches, in order, beside Globex's."""
    event_ids = []
    for _ in range(BATCHES):
        event_ids += [streams.append() for _ in range(ROWS)]
        streams.append(GLOBEX)
        recorder.drain()
    return event_ids


@contextmanager
def tampering() -> Iterator[None]:
    """As the owner, with the trigger that would say no switched off."""
    for table in ("ledger_row", "ledger_link"):
        sql(f"ALTER TABLE {table} DISABLE TRIGGER append_only", alias="owner")
    try:
        yield
    finally:
        for table in ("ledger_row", "ledger_link"):
            sql(f"ALTER TABLE {table} ENABLE TRIGGER append_only", alias="owner")


def tamper(statement: str, *parameters: object) -> None:
    with tampering():
        sql(statement, *parameters, alias="owner")


def found(**selected: object) -> list[Finding]:
    return verify(Selected(**selected)).findings  # type: ignore[arg-type]


def rows_found() -> list[tuple[str, int, str]]:
    return [(each.what, each.link, each.event_id) for each in found() if each.what != "sum"]


def run(*arguments: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("verify_ledger", *arguments, stdout=out)
    except SystemExit as ended:
        return out.getvalue(), int(str(ended.code))
    return out.getvalue(), 0


def test_books_as_they_were_booked_are_found_whole(booked: list[str]) -> None:
    assert run() == (f"2 chains, {2 * BATCHES} links, {BATCHES * (ROWS + 1)} rows: all as booked\n", 0)


# One of each type of column, and the ones money hangs on.
@pytest.mark.parametrize(
    "change",
    [
        "charge_nanousd = charge_nanousd + 1",
        "cost_nanousd = 0",
        "model = 'gpt-4o-minj'",
        "started_at = started_at + interval '1 microsecond'",
        "upstream_status = NULL",
        "stream = NOT stream",
        "attempt = attempt + 1",
        "draws = '[]'",
        "extras = '{\"web_search\": 1}'",
        "customer_id = 'cus_2'",
        "basis = 'estimated'",
    ],
)
def test_a_changed_byte_is_found_and_its_row_named(booked: list[str], change: str) -> None:
    tamper(f"UPDATE ledger_row SET {change} WHERE event_id = %s", booked[7])

    assert rows_found() == [("changed", 2, booked[7])]


def test_each_of_many_changed_rows_is_named(booked: list[str]) -> None:
    victims = sorted(random.Random(3).sample(booked, 6), key=booked.index)
    tamper("UPDATE ledger_row SET charge_nanousd = charge_nanousd - 1 WHERE event_id = ANY(%s)", victims)

    assert [event_id for _, _, event_id in rows_found()] == victims
    out, code = run("--show", "1")
    assert code == 1
    assert out.startswith(f"changed: {ACME} test link {1 + booked.index(victims[0]) // ROWS} {victims[0]}: ")


def test_a_deleted_row_is_missing(booked: list[str]) -> None:
    tamper("DELETE FROM ledger_row WHERE event_id = %s", booked[-1])

    assert rows_found() == [("missing", BATCHES, booked[-1])]


def test_a_row_nobody_booked_is_extra(booked: list[str]) -> None:
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    values = columns.replace('"event_id"', "replace(event_id, '.settled.0', '.settled.7')")
    tamper(
        f"INSERT INTO ledger_row ({columns}) SELECT {values} FROM ledger_row WHERE event_id = %s", booked[3]
    )

    assert rows_found() == [("extra", 0, booked[3].replace(".settled.0", ".settled.7"))]


def test_rows_that_changed_places_are_reordered(booked: list[str]) -> None:
    one, other = booked[6], booked[8]
    tamper(
        "UPDATE ledger_row AS r SET seq = o.seq FROM ledger_row AS o "
        "WHERE (r.event_id, o.event_id) IN ((%s, %s), (%s, %s))",
        one, other, other, one,
    )  # fmt: skip

    assert rows_found() == [("reordered", 2, one), ("reordered", 2, other)]


def test_a_link_that_changed_or_is_gone_is_named(booked: list[str]) -> None:
    tamper("UPDATE ledger_link SET row_count = row_count + 1 WHERE tenant_id = %s AND number = 2", ACME)
    tamper("DELETE FROM ledger_link WHERE tenant_id = %s AND number = 2", GLOBEX)

    details = {(each.where, each.link, each.detail) for each in found() if each.what == "link"}

    assert (f"{ACME} test", 2, "its digest is not that of what it says") in details
    assert (f"{GLOBEX} test", 3, "links 2 to 2 are missing") in details


def test_an_id_that_was_written_over_is_a_missing_row(booked: list[str]) -> None:
    tamper("UPDATE ledger_link SET event_ids[2] = '!' WHERE tenant_id = %s AND number = 2", ACME)

    assert rows_found() == [("missing", 2, "!"), ("extra", 0, booked[6])]


def test_a_link_rewritten_with_its_row_breaks_the_next(booked: list[str]) -> None:
    tamper("UPDATE ledger_row SET charge_nanousd = 0 WHERE event_id = %s", booked[0])
    tamper(
        "UPDATE ledger_link SET digest = sha256(digest) WHERE tenant_id = %s AND number = 1 AND mode = 'test'",
        ACME,
    )

    details = [(each.link, each.detail) for each in found() if each.what == "link"]

    assert (2, "does not follow link 1") in details


def test_a_tail_that_was_cut_off_shows_against_a_head_kept_elsewhere(
    booked: list[str], tmp_path: Path
) -> None:
    kept, _ = run("--head")
    head = next(line for line in kept.splitlines() if line.startswith(ACME)).split()[-1]
    (tmp_path / "heads").write_text(kept)
    assert run("--expect", head)[1] == run("--expect-file", str(tmp_path / "heads"))[1] == 0

    last = booked[-ROWS:]
    tamper("DELETE FROM ledger_row WHERE event_id = ANY(%s)", last)
    tamper("DELETE FROM ledger_link WHERE tenant_id = %s AND number = %s", ACME, BATCHES)

    assert rows_found() == []
    out, code = run("--tenant", ACME, "--expect-file", str(tmp_path / "heads"))
    assert code == 1
    assert f"no link has the digest {head}" in out
    assert run("--expect", head)[1] == 1


def test_sums_that_are_not_those_of_the_rows_are_told(booked: list[str]) -> None:
    sql(
        "UPDATE usage_rollup SET charge_nanousd = charge_nanousd + 1 WHERE tenant_id = %s",
        ACME,
        alias="owner",
    )
    sql("UPDATE budget_window SET spent_nanousd = 0 WHERE budget_id = 'bud_c'", alias="owner")

    details = [each.detail for each in found(tenant_id=ACME) if each.what == "sum"]

    assert any(detail.startswith("usage_rollup: kept but not booked") for detail in details)
    assert any(detail.startswith("budget_window: booked but not kept") for detail in details)
    assert {each.where for each in found(tenant_id=GLOBEX)} == {f"{GLOBEX} test"}


def test_a_correction_of_nothing_is_told(streams: Streams, recorder: Recorder) -> None:
    hold_id = streams.hold_id()
    streams.append(hold_id=hold_id, kind="correction", corrects=f"{hold_id}.expired.0", charge=-1)
    recorder.drain()

    assert [(each.what, each.event_id) for each in found()] == [("correction", f"{hold_id}.correction.0")]


def test_a_check_may_begin_in_the_middle_or_keep_to_a_month(booked: list[str]) -> None:
    tamper("UPDATE ledger_row SET charge_nanousd = 0 WHERE event_id = %s", booked[0])

    assert run("--tenant", ACME, "--mode", "test", "--from-link", "2", "--month", "2026-11")[1] == 0
    assert run("--month", "2026-10")[0].endswith("0 rows: all as booked\n")
    assert run("--month", "2026-11")[1] == 1
    assert run("--tenant", GLOBEX)[1] == 0
    with pytest.raises(CommandError, match="give --tenant"):
        run("--from-link", "2")


def test_a_month_moved_out_of_the_database_is_not_missing_where_that_is_said(booked: list[str]) -> None:
    tamper("DELETE FROM ledger_row")
    tamper("TRUNCATE usage_rollup, budget_window")

    assert run("--detached", "2026-11")[1] == 0
    assert run()[1] == 1
