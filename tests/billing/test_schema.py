"""What the roles may do with the books, and how the ledger's months are made."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest
from django.db import DatabaseError, connections
from django.db.utils import ProgrammingError

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ROW = """
INSERT INTO ledger_row (event_id, month, kind, basis, tenant_id, mode, shard, request_id, hold_id, started_at,
                        booked_at, cost_nanousd, charge_nanousd, epoch, seq)
VALUES ('01aaaaaaaa0000000000000000.settled.0', %s, 'settled', 'reported', 'ten_a', 'test', 1, 'req', 'hold', now(),
        now(), 1, 1, 1, 1)
"""


def run(alias: str, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


@pytest.mark.parametrize(("alias", "role"), [("default", "farebox_app"), ("recorder", "farebox_recorder")])
def test_neither_app_nor_recorder_owns_or_rules(alias: str, role: str) -> None:
    found = run(
        alias,
        "SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user",
    )
    owned = run(alias, "SELECT tablename FROM pg_tables WHERE tableowner = current_user")

    assert found == [(role, False, False)]
    assert owned == []


def test_nobody_but_the_owner_touches_what_is_booked() -> None:
    run("recorder", "SELECT farebox_ensure_ledger_month('2026-11-05')")
    changes = (
        "UPDATE {} SET cost_nanousd = 0",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
    )

    for alias, table, change in product(
        ("default", "recorder"), ("ledger_row", "ledger_row_202611"), changes
    ):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            run(alias, change.format(table))


def test_the_app_books_nothing() -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        run("default", ROW, date(2026, 11, 1))
    for table in ("usage_rollup", "budget_window", "shard_mark", "tag_set", "dead_letter"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            run("default", f"INSERT INTO {table} DEFAULT VALUES")


def test_not_even_the_owner_changes_a_row() -> None:
    run("recorder", "SELECT farebox_ensure_ledger_month('2026-11-05')")
    run("recorder", ROW, date(2026, 11, 1))

    for statement in ("UPDATE ledger_row SET cost_nanousd = 0", "DELETE FROM ledger_row_202611"):
        with pytest.raises(DatabaseError, match="never changed"):
            run("owner", statement)


@pytest.mark.parametrize("alias", ["default", "recorder"])
def test_a_month_is_made_once_by_whoever_needs_it(alias: str) -> None:
    run("owner", "DROP TABLE IF EXISTS ledger_row_202502")

    assert run(alias, "SELECT farebox_ensure_ledger_month('2025-02-28')") == [(True,)]
    assert run(alias, "SELECT farebox_ensure_ledger_month('2025-02-01')") == [(False,)]

    run("recorder", ROW, date(2025, 2, 1))
    assert run("default", "SELECT tableoid::regclass::text FROM ledger_row") == [("ledger_row_202502",)]


@pytest.mark.parametrize("day", ["2023-12-31", "2199-01-01"])
def test_a_month_out_of_all_reason_is_refused(day: str) -> None:
    with pytest.raises(DatabaseError, match="no ledger month"):
        run("recorder", "SELECT farebox_ensure_ledger_month(%s)", day)


def test_only_the_two_roles_may_make_months() -> None:
    rights = run(
        "owner",
        "SELECT r.rolname FROM pg_proc p, aclexplode(p.proacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee "
        "WHERE p.proname = 'farebox_ensure_ledger_month' AND r.rolname IS DISTINCT FROM 'farebox_owner' ORDER BY 1",
    )
    pinned = run("owner", "SELECT proconfig FROM pg_proc WHERE proname = 'farebox_ensure_ledger_month'")

    assert rights == [("farebox_app",), ("farebox_recorder",)]
    assert pinned == [(["search_path=pg_catalog, pg_temp"],)]
