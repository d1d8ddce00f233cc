"""The ledger's months, made before anybody needs them."""

from __future__ import annotations

from datetime import date

from django.db import connections

MONTHS_AHEAD = 2


def ensure_months(today: date) -> list[date]:
    """Make the partitions of this month and the next ones; returns those that were missing."""
    made = []
    with connections["default"].cursor() as cursor:
        for ahead in range(MONTHS_AHEAD + 1):
            month = _month_after(today, ahead)
            cursor.execute("SELECT farebox_ensure_ledger_month(%s)", [month])
            if cursor.fetchone() == (True,):
                made.append(month)
    return made


def _month_after(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)
