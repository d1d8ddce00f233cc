"""Mappings from a CSV file and back: each line stands alone, and each line's outcome is reported."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from billing.errors import StripeFailed
from billing.models import CustomerMap, StripeConnection
from billing.stripe.keys import gateway_of
from billing.stripe.mapping import map_customer
from billing.stripe.outcomes import Verdict
from tenants.actions.recording import Actor
from tenants.errors import InvalidInput, TenantsError
from tenants.models import Customer, Tenant

# Each line asks Stripe twice, so that a file is done before its sender's patience is.
LINES_MAX = 200
COLUMNS = ("external_id", "stripe_customer_id")
_FORMULA = frozenset("=+-@\t\r")
_MORE = ("state", "currency", "subscription_id", "period_start", "period_end")


@dataclass(frozen=True, slots=True)
class MappedLine:
    """What became of one line; the header is line 1."""

    line: int
    external_id: str
    outcome: Literal["mapped", "unchanged", "failed"]
    state: str = ""
    error: str = ""


def import_mappings_csv(*, connection: StripeConnection, actor: Actor, text: str) -> list[MappedLine]:
    """Map a customer per line, checked at Stripe; a bad line changes nothing, and the others go on.

    Raises: InvalidInput when the file cannot be read; StripeFailed when Stripe takes the key no more.
    """
    lines = list(_read(text))
    gateway_of(connection)
    return [_take(connection, actor, number, row) for number, row in lines]


def export_mappings_csv(tenant: Tenant, mode: str) -> str:
    """All customers with what is known of them at Stripe, in the form that the import takes."""
    rows = Customer.objects.for_scope(tenant, mode).select_related("stripe_map")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*COLUMNS, *_MORE))
    for customer in rows.order_by("created_at", "id").iterator():
        mapping = getattr(customer, "stripe_map", None)
        writer.writerow((_safe(customer.external_id), *_told(mapping)))
    return out.getvalue()


def _take(connection: StripeConnection, actor: Actor, number: int, row: dict[str, str]) -> MappedLine:
    external_id, wanted = _meant(row["external_id"].strip()), row["stripe_customer_id"].strip()
    customers = Customer.objects.for_scope(connection.tenant, connection.mode)
    customer = customers.filter(external_id=external_id).first()
    if customer is None:
        return MappedLine(number, external_id, "failed", error="there is no customer with this external_id")
    known = CustomerMap.objects.filter(customer=customer).first()
    if known is not None and known.stripe_customer_id == wanted:
        return MappedLine(number, external_id, "unchanged", known.state)
    try:
        change = map_customer(
            connection=connection, customer=customer, actor=actor, stripe_customer_id=wanted
        )
    except StripeFailed as error:
        if error.outcome is not None and error.outcome.verdict in {Verdict.AUTH, Verdict.PERMISSION}:
            raise
        return MappedLine(number, external_id, "failed", error=str(error))
    except TenantsError as error:
        return MappedLine(number, external_id, "failed", error=str(error))
    return MappedLine(number, external_id, "mapped", change.row.state)


def _read(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), restval="", strict=True)
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise InvalidInput("file", f"the columns {' and '.join(missing)} are missing")
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InvalidInput("file", f"line {reader.line_num} is no CSV: {error}") from error
    # An exported file has lines for those who are not mapped; they ask for nothing.
    rows = [(number, row) for number, row in rows if row["stripe_customer_id"].strip()]
    if len(rows) > LINES_MAX:
        raise InvalidInput("file", f"{len(rows)} lines to map, more than {LINES_MAX}; split the file")
    yield from rows


def _told(mapping: CustomerMap | None) -> tuple[str, ...]:
    if mapping is None:
        return ("", CustomerMap.State.UNMAPPED.value, "", "", "", "")
    instants = (at.isoformat() if at else "" for at in (mapping.period_start, mapping.period_end))
    return (mapping.stripe_customer_id, mapping.state, mapping.currency, mapping.subscription_id, *instants)


def _safe(text: str) -> str:
    """A tenant's text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in _FORMULA else text


def _meant(text: str) -> str:
    """The text that ``_safe`` was given."""
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA else text
