"""What is shown of compared hours: lists by state, counts, what a person can do about one, and the export."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from io import StringIO

from django.db.models import Count, Q, QuerySet

from billing.models import ReconRow
from billing.stripe.comparing import WORDS
from billing.stripe.fixing import surplus_units
from metering.money import format_usd
from tenants.errors import InvalidInput
from tenants.models import Tenant

FILTERS = ("state", "customer", "day")
CSV_ROWS_MAX = 100_000
COLUMNS = (
    "hour", "customer", "meter", "ledger_usd", "pushed_units", "doubtful_units", "stripe_units", "state", "why",
    "fixed_by", "since", "checked_at",
)  # fmt: skip
STEPS: dict[str, str] = {
    "ok": "Nothing: Stripe has what was pushed.",
    "lagging": "It may still come: Stripe's sums are complete after a while. It is compared again by itself.",
    "missing": "Stripe lacks what it took. Each push of the hour is looked at; what is absent for a day is sent anew.",
    "excess": "Stripe has more than was pushed. Nothing is mended by itself: take the difference back here.",
    "foreign": "Something that we never pushed is in the meter. Find who writes to it; then take it back here.",
}


def recon_rows_of(tenant: Tenant, mode: str, wanted: Mapping[str, str] | None = None) -> QuerySet[ReconRow]:
    """A tenant's compared hours, newest first, narrowed by what FILTERS name. Raises: InvalidInput."""
    rows = ReconRow.objects.for_scope(tenant, mode).select_related("customer", "meter", "fix")
    given = {name: value for name in FILTERS if wanted and (value := wanted.get(name, ""))}
    if "customer" in given:
        rows = rows.filter(Q(customer_id=given["customer"]) | Q(customer__external_id=given["customer"]))
    if "day" in given:
        start = _day(given["day"])
        rows = rows.filter(hour__gte=start, hour__lt=start + timedelta(days=1))
    state = given.get("state")
    if state == "differing":
        return rows.exclude(state=ReconRow.State.OK)
    if state is not None and state not in ReconRow.State.values:
        raise InvalidInput("state", f"state is differing or one of {', '.join(ReconRow.State.values)}")
    return rows.filter(state=state) if state else rows


def recon_counts(tenant: Tenant, mode: str) -> dict[str, int]:
    """How many of a tenant's hours are in which state; every state is named."""
    rows = ReconRow.objects.for_scope(tenant, mode).order_by().values_list("state")
    counts = dict(rows.annotate(rows=Count("id")))
    return {state: counts.get(state, 0) for state in ReconRow.State.values}


def why_of(row: ReconRow) -> str:
    """Say in words why an hour is in its state; empty where the state says it."""
    return WORDS.get(row.why, row.why.replace("_", " "))


def fixable_units(row: ReconRow) -> int | None:
    """What a person may take back of an hour; None where there is nothing."""
    return surplus_units(row)


def recon_csv_lines(rows: Iterable[ReconRow]) -> Iterator[str]:
    """Export compared hours line by line, the columns' names first."""
    stream = StringIO()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([
            row.hour.isoformat(), _harmless(row.customer.external_id), row.meter.event_name,
            format_usd(row.ledger_nanousd), row.pushed_units, row.doubtful_units, f"{row.stripe_units.normalize():f}",
            row.state, row.why, row.fix.identifier if row.fix else "", row.since.isoformat(),
            row.checked_at.isoformat(),
        ])  # fmt: skip
        yield _taken(stream)
    yield _taken(stream)


def _taken(stream: StringIO) -> str:
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def _harmless(text: str) -> str:
    # A spreadsheet takes what begins like this for a formula.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _day(text: str) -> datetime:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("day", f"{text[:20]!r} is no day such as 2026-11-18") from error
    return datetime(found.year, found.month, found.day, tzinfo=UTC)
