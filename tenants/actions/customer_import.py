"""Customers from a CSV file: each line stands alone, and each line's outcome is reported."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db import transaction

from metering.errors import MoneyError
from metering.money import parse_usd
from tenants.actions.budgets import BudgetTerms, change_limit, create_budget
from tenants.actions.customers import upsert_customer
from tenants.actions.recording import Actor
from tenants.errors import InvalidInput, TenantsError
from tenants.models import Budget, Customer, Tenant
from tenants.percent import parse_percent

LINES_MAX = 10_000
# A commit waits for the disk, and a file of thousands for thousands of them; each line still stands alone.
LINES_PER_COMMIT = 100
REQUIRED = "external_id"
COLUMNS = (REQUIRED, "name", "limit_usd", "window", "on_exhaustion", "markup_percent")
METADATA_PREFIX = "metadata."


@dataclass(frozen=True, slots=True)
class ImportedLine:
    """What became of one line; the header is line 1."""

    line: int
    external_id: str
    outcome: Literal["created", "changed", "failed"]
    customer_id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Every line's outcome, and the outbox entries of those that changed something."""

    lines: tuple[ImportedLine, ...]
    entries: tuple[int, ...]

    def count(self, outcome: str) -> int:
        """How many lines came out so."""
        return sum(line.outcome == outcome for line in self.lines)


def import_customers_csv(*, tenant: Tenant, mode: str, actor: Actor, text: str) -> ImportReport:
    """Make or change a customer per line; with ``limit_usd`` its budget as well. A bad line changes nothing.

    Raises: InvalidInput when the file as a whole cannot be read.
    """
    rows = list(_read(text))
    lines: list[ImportedLine] = []
    entries: list[int] = []
    for start in range(0, len(rows), LINES_PER_COMMIT):
        with transaction.atomic():
            for number, row in rows[start : start + LINES_PER_COMMIT]:
                line, made = _take_line(tenant, mode, actor, (number, row))
                lines.append(line)
                entries += made
    return ImportReport(tuple(lines), tuple(entries))


def _take_line(
    tenant: Tenant, mode: str, actor: Actor, numbered: tuple[int, dict[str, str]]
) -> tuple[ImportedLine, tuple[int, ...]]:
    number, row = numbered
    external_id = row.get(REQUIRED, "")
    try:
        with transaction.atomic():
            customer, created, made = _take(tenant, mode, actor, row)
    except (TenantsError, MoneyError, ValueError) as error:
        return ImportedLine(number, external_id, "failed", error=str(error)), ()
    return ImportedLine(number, external_id, "created" if created else "changed", customer.pk), made


def _read(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), restkey="", strict=True)
    try:
        header = list(reader.fieldnames or [])
        unknown = [name for name in header if name not in COLUMNS and not name.startswith(METADATA_PREFIX)]
        if REQUIRED not in header or unknown or len(set(header)) != len(header):
            raise InvalidInput(
                "file",
                f"columns are {header}: need {REQUIRED}, may have {', '.join(COLUMNS[1:])}, {METADATA_PREFIX}*",
            )
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InvalidInput("file", f"line {reader.line_num} is no CSV: {error}") from error
    if len(rows) > LINES_MAX:
        raise InvalidInput("file", f"{len(rows)} lines, more than {LINES_MAX}; split the file")
    for number, row in rows:
        yield number, {name: value for name, value in row.items() if value}


def _take(
    tenant: Tenant, mode: str, actor: Actor, row: Mapping[str, str]
) -> tuple[Customer, bool, tuple[int, ...]]:
    if "" in row:
        raise InvalidInput("file", "the line has more fields than the header")
    values: dict[str, Any] = {}
    if "name" in row:
        values["name"] = row["name"]
    if "markup_percent" in row:
        values["markup_bp"] = parse_percent(row["markup_percent"])
    if notes := {
        name.removeprefix(METADATA_PREFIX): row[name] for name in row if name.startswith(METADATA_PREFIX)
    }:
        values["metadata"] = notes
    change = upsert_customer(
        tenant=tenant, mode=mode, actor=actor, external_id=row.get(REQUIRED, "").strip(), values=values
    )
    entries = change.entries
    if "limit_usd" in row:
        entries += _give_budget(actor, change.row, row)
    return change.row, change.created, entries


def _give_budget(actor: Actor, customer: Customer, row: Mapping[str, str]) -> tuple[int, ...]:
    """Make the customer's default budget, or give the one it has the new limit."""
    limit_nanousd = parse_usd(row["limit_usd"])
    budget_id = Budget.default_id_for(customer.tenant_id, customer.mode, customer.external_id)
    budget = Budget.objects.filter(pk=budget_id).first()
    if budget is not None:
        same = budget.limit_nanousd == limit_nanousd
        return () if same else change_limit(budget=budget, actor=actor, limit_nanousd=limit_nanousd).entries
    terms = BudgetTerms(
        limit_nanousd=limit_nanousd,
        window_kind=row.get("window", "month"),
        on_exhaustion=row.get("on_exhaustion", "refuse"),
    )
    made = create_budget(
        tenant=customer.tenant,
        mode=customer.mode,
        actor=actor,
        terms=terms,
        target=customer,
        budget_id=budget_id,
    )
    return made.entries
