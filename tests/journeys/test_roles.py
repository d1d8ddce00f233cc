"""Whom the running processes are to PostgreSQL: nobody who owns, rules, or may change what is booked."""

from __future__ import annotations

import psycopg
import pytest

from tests.journeys.desk import Desk
from tests.stack import Stack

APP, RECORDER = "farebox_app", "farebox_recorder"


def test_the_processes_of_a_stack_are_the_app_and_the_recorder_and_nobody_else(
    stack: Stack, acme: Desk
) -> None:
    acme.do("GET", "/customers")
    with psycopg.connect(stack.postgres.url("farebox_owner")) as connection:
        connected = connection.execute(
            "SELECT DISTINCT a.usename, r.rolsuper, r.rolbypassrls, r.rolcreaterole, "
            "(SELECT count(*) FROM pg_class AS c WHERE c.relowner = r.oid AND c.relpersistence <> 't') "
            "FROM pg_stat_activity AS a JOIN pg_roles AS r ON r.rolname = a.usename "
            "WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() ORDER BY 1"
        ).fetchall()
    assert connected == [(APP, False, False, False, 0), (RECORDER, False, False, False, 0)]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (RECORDER, "UPDATE ledger_row SET cost_nanousd = 0"),
        (RECORDER, "DELETE FROM ledger_row"),
        (RECORDER, "TRUNCATE ledger_row"),
        (RECORDER, "SELECT * FROM tenants_provideraccount"),
        (RECORDER, "SELECT * FROM tenants_key"),
        (APP, "INSERT INTO ledger_row DEFAULT VALUES"),
        (APP, "UPDATE ledger_row SET cost_nanousd = 0"),
        (APP, "DELETE FROM ledger_row"),
        (APP, "UPDATE usage_rollup SET cost_nanousd = 0"),
        (APP, "UPDATE budget_window SET spent_nanousd = 0"),
        (APP, "ALTER TABLE ledger_row OWNER TO farebox_app"),
        (APP, "SET ROLE farebox_owner"),
        (APP, "SET ROLE farebox_recorder"),
    ],
)
def test_neither_may_do_what_the_other_or_nobody_may(stack: Stack, role: str, statement: str) -> None:
    with psycopg.connect(stack.postgres.url(role)) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
        connection.rollback()
