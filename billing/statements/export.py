"""A statement as CSV: usage lines, corrections, and the total; unresolved money in a column of its own."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from billing.statements.lines import Statement, UsageLine, corrections_of
from metering.money import format_usd
from metering.usage import TOKEN_BUCKETS
from tenants.reach import only

LINES_PER_PART = 500
COLUMNS = (
    "kind", "at", "provider", "model", "account", "calls", *(f"{name}_tokens" for name in TOKEN_BUCKETS), "extras",
    "usd_per_mtok", "usd_per_call", "event_id", "corrects", "request_id", "charge_usd", "unresolved_usd",
)  # fmt: skip


def csv_parts(statement: Statement) -> Iterator[str]:
    """Write a statement as CSV, some lines at a time."""
    stream = StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for number, row in enumerate(_rows(statement), 1):
        writer.writerow(
            {name: value if name in _AMOUNTS else _harmless(value) for name, value in row.items()}
        )
        if number % LINES_PER_PART == 0:
            yield _taken(stream)
    yield _taken(stream)


def csv_answer(statement: Statement, request: HttpRequest) -> StreamingHttpResponse:
    """Answer with a statement as a file, a part at a time."""
    lines = csv_parts(statement)

    def next_part() -> str | None:
        # Parts are made after the request: whose rows may be read is said for each.
        with only(statement.customer.tenant_id):
            return next(lines, None)

    async def parts() -> AsyncIterator[str]:
        while (part := await sync_to_async(next_part)()) is not None:
            yield part

    # Django's two servers each stream one kind and collect the other whole.
    content = parts() if isinstance(request, ASGIRequest) else iter(next_part, None)
    answer = StreamingHttpResponse(content, content_type="text/csv")
    name = f"statement-{statement.customer.pk}-{statement.period.key.replace(':', '')}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _rows(statement: Statement) -> Iterator[dict[str, Any]]:
    for line in statement.usage:
        yield _usage(line)
    for each in corrections_of(statement.customer, statement.period):
        yield {
            "kind": "correction", "at": each.at.isoformat(), "model": each.model, "event_id": each.event_id,
            "corrects": each.corrects, "request_id": each.request_id, "charge_usd": format_usd(each.charge_nanousd),
        }  # fmt: skip
    if statement.unresolved:
        unresolved_usd = format_usd(statement.unresolved_nanousd)
        yield {"kind": "unresolved", "calls": statement.unresolved, "unresolved_usd": unresolved_usd}
    yield {
        "kind": "preview" if statement.is_preview else "total", "at": statement.period.end.isoformat(),
        "charge_usd": format_usd(statement.total_nanousd),
    }  # fmt: skip


def _usage(line: UsageLine) -> dict[str, Any]:
    return {
        "kind": "usage", "provider": line.provider, "model": line.model, "account": line.account, "calls": line.calls,
        **{f"{name}_tokens": line.tokens.get(name, 0) for name in TOKEN_BUCKETS},
        "extras": ";".join(f"{name}={count}" for name, count in sorted(line.extras.items())),
        "usd_per_mtok": ";".join(f"{price.bucket}={price.usd_per_mtok}" for price in line.prices),
        "usd_per_call": format_usd(line.markup_fixed_nanousd) if line.markup_fixed_nanousd else "",
        "charge_usd": format_usd(line.charge_nanousd),
    }  # fmt: skip


def _taken(stream: StringIO) -> str:
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def _harmless(value: Any) -> Any:
    # A spreadsheet takes a text that begins like this for a formula.
    is_formula = isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}
    return f"'{value}" if is_formula else value


_AMOUNTS = frozenset({"charge_usd", "unresolved_usd"})
