"""Reading the audit log: what it may be narrowed by, and all of it as CSV, made line by line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_aware

from tenants.errors import InvalidInput
from tenants.models import AuditEntry, Tenant

FILTERS = ("object_id", "object_kind", "action", "actor_id", "actor_kind", "address")
COLUMNS = (
    "at", "mode", "actor_kind", "actor_id", "actor_name", "address", "action", "object_kind", "object_id", "before",
    "after",
)  # fmt: skip
ROWS_AT_ONCE = 500
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def entries_of(tenant: Tenant, mode: str, given: Mapping[str, str]) -> QuerySet[AuditEntry]:
    """What concerns one mode or both, newest first, narrowed by ``FILTERS`` and ``from``, ``to``.

    An action that ends with ``.`` stands for all that begin so (``key.``). Raises: InvalidInput.
    """
    rows = AuditEntry.objects.for_tenant(tenant).filter(Q(mode=mode) | Q(mode=""))
    for name in FILTERS:
        wanted = given.get(name, "")
        if wanted:
            begins = name == "action" and wanted.endswith(".")
            rows = rows.filter(**{f"{name}__startswith" if begins else name: wanted})
    for name, lookup in (("from", "at__gte"), ("to", "at__lt")):
        if given.get(name):
            rows = rows.filter(**{lookup: _instant(name, given[name])})
    return rows


def csv_lines(rows: QuerySet[AuditEntry]) -> Iterator[str]:
    """Write entries as CSV, a line at a time, however many there are."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    with transaction.atomic():  # a cursor of the server lives within one
        for row in rows.iterator(chunk_size=ROWS_AT_ONCE):
            yield writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])


class _Echo:
    def write(self, line: str) -> str:
        """Hand a line back instead of keeping it."""
        return line


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _instant(name: str, text: str) -> Any:
    try:
        found = parse_datetime(text)
        if found is not None and is_aware(found):
            return found
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise InvalidInput(name, f"{name} must be an instant with its zone, or a day such as 2026-11-01")
    return f"{day.isoformat()}T00:00:00Z"
