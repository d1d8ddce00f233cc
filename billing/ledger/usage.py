"""Usage by any dimension and interval: the one query behind portal, API, exports and invoices."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections
from psycopg import sql

from enforcement.keys import Scope
from metering.usage import TOKEN_BUCKETS

SLOT_SECONDS = 900
GROUPS_MAX = 10_000
INTERVALS = ("hour", "day", "month")
# What one may group and filter by, and the column it is.
DIMENSIONS = {
    "customer": "customer_id",
    "key": "key_id",
    "account": "account_id",
    "provider": "provider",
    "model": "model",
    "basis": "basis",
    "kind": "kind",
    "tag_set": "tag_set_id",
}
SUMS = (*(f"{name}_tokens" for name in TOKEN_BUCKETS), "quote_cost_nanousd", "cost_nanousd", "charge_nanousd")
_TAG = re.compile(r"tag:[^\x00]{1,200}")


class UsageQuestionError(ValueError):
    """A question about usage that has no exact answer; ``param`` names the part that is wrong."""

    def __init__(self, param: str, message: str) -> None:
        self.param = param
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuestion:
    """What to sum: a tenant's usage in [start, end), by groups and, if one is given, by interval in a zone."""

    scope: Scope
    start: datetime
    end: datetime
    group_by: tuple[str, ...] = ()
    interval: str = ""
    zone: str = "UTC"
    filters: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what cannot be answered exactly. Raises: UsageQuestionError."""
        for name in self.group_by:
            if name not in DIMENSIONS and not _TAG.fullmatch(name):
                raise UsageQuestionError("group_by", f"{name!r} is none of {', '.join(DIMENSIONS)}, tag:NAME")
        if self.interval and self.interval not in INTERVALS:
            raise UsageQuestionError("interval", f"{self.interval!r} is none of {', '.join(INTERVALS)}")
        if not self.start < self.end:
            raise UsageQuestionError("to", "from must be before to")
        for param, instant in (("from", self.start), ("to", self.end)):
            if instant.timestamp() % SLOT_SECONDS:
                raise UsageQuestionError(param, "usage is summed by quarters of an hour: give one of those")
        try:
            zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageQuestionError("zone", f"{self.zone!r} is no IANA zone") from error


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """One line of the answer. ``attempts`` counts calls that reached a provider, corrections not."""

    starts_at: datetime | None
    names: tuple[str | None, ...]
    attempts: int
    sums: dict[str, int]


def usage(question: UsageQuestion) -> list[UsageGroup]:
    """Answer a question from the rollups. Raises: UsageQuestionError, also for more groups than anybody can read."""
    question.check()
    statement, parameters = _statement(question)
    with connections["default"].cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
    if len(rows) > GROUPS_MAX:
        raise UsageQuestionError(
            "group_by", f"more than {GROUPS_MAX} groups: ask for a shorter span or fewer dimensions"
        )
    names_end = 1 + len(question.group_by)
    return [
        UsageGroup(
            row[0], row[1:names_end], row[names_end], dict(zip(SUMS, row[names_end + 1 :], strict=True))
        )
        for row in rows
    ]


def _statement(question: UsageQuestion) -> tuple[sql.Composed, dict[str, Any]]:
    parameters: dict[str, Any] = {
        "tenant_id": question.scope.tenant_id,
        "mode": question.scope.mode,
        "start": question.start,
        "end": question.end,
        "interval": question.interval,
        "zone": question.zone,
    }
    when = "date_trunc(%(interval)s, slot, %(zone)s)" if question.interval else "NULL::timestamptz"
    groups: list[sql.Composable] = [sql.SQL(when)] + [
        _group(name, number, parameters) for number, name in enumerate(question.group_by)
    ]
    conditions: list[sql.Composable] = [
        sql.SQL("r.tenant_id = %(tenant_id)s AND mode = %(mode)s AND slot >= %(start)s AND slot < %(end)s")
    ]
    for number, (name, value) in enumerate(question.filters.items()):
        parameters[f"only_{number}"] = value
        column = sql.Identifier("r", DIMENSIONS[name])
        conditions.append(sql.SQL("{} = {}").format(column, sql.Placeholder(f"only_{number}")))
    sums = [sql.SQL("sum({})::bigint").format(sql.Identifier(name)) for name in SUMS]
    numbers = sql.SQL(", ").join(sql.Literal(place + 1) for place in range(len(groups)))
    statement = sql.SQL(
        "SELECT {groups}, coalesce(sum(row_count) FILTER (WHERE kind <> 'correction'), 0)::bigint, {sums} "
        "FROM usage_rollup AS r {tags} WHERE {conditions} GROUP BY {numbers} ORDER BY {numbers} LIMIT {most}"
    ).format(
        groups=sql.SQL(", ").join(groups),
        sums=sql.SQL(", ").join(sums),
        tags=sql.SQL(
            "LEFT JOIN tag_set AS t ON t.tenant_id = r.tenant_id AND t.tag_set_id = r.tag_set_id"
            if any(name.startswith("tag:") for name in question.group_by)
            else ""
        ),
        conditions=sql.SQL(" AND ").join(conditions),
        numbers=numbers,
        most=sql.Literal(GROUPS_MAX + 1),
    )
    return statement, parameters


def _group(name: str, number: int, parameters: dict[str, Any]) -> sql.Composable:
    if name in DIMENSIONS:
        return sql.Identifier("r", DIMENSIONS[name])
    parameters[f"tag_{number}"] = name.removeprefix("tag:")
    return sql.SQL("t.tags ->> {}").format(sql.Placeholder(f"tag_{number}"))
