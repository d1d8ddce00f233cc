"""Policy versions: one database sequence for all, so that a newer document always has the greater number."""

from __future__ import annotations

from django.db import connection

from tenants.dbroles import VERSION_SEQUENCE


def next_version() -> int:
    """Take the next version. Call it only while holding the changed row's lock.

    Taken under the lock, versions of one row grow in the order its transactions commit.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT nextval('{VERSION_SEQUENCE}')")
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])
