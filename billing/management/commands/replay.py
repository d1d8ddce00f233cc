"""`manage.py replay`: work ledger rows out again from what stands on them, and say which do not agree."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from billing.ledger.recompute import Outcome, Verdict
from billing.ledger.replaying import BAD, Replay, Selection, replay
from metering.money import format_usd
from tenants.base_books import keep_installed_book


class Command(BaseCommand):
    """Work out rows again; exit 1 when one does not agree."""

    help = (
        "Work out ledger rows again from their usage, price id and markup, and print those that do not agree (exit 1). "
        "Rows of a call that ended unknown are held against what was held for them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to replay; without anything, all there is."""
        parser.add_argument("event", nargs="?", default="", help="one row's event id: its hold's rows")
        parser.add_argument("--request", default="", help="one call by its request id")
        parser.add_argument("--month", default="", help="such as 2026-11, in UTC")
        parser.add_argument("--from", dest="start", default="", help="calls begun at or after this instant")
        parser.add_argument("--to", dest="end", default="", help="calls begun before this instant")
        parser.add_argument("--tenant", default="", help="one tenant by its id")
        parser.add_argument("--mode", choices=("test", "live"), default="")
        parser.add_argument(
            "--show", type=int, default=100, help="print at most so many rows that do not agree"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Replay and report. Raises: CommandError for a selection that makes no sense or finds nothing."""
        start, end = _span(options)
        selection = Selection(
            event_id=options["event"],
            request_id=options["request"],
            start=start,
            end=end,
            tenant_id=options["tenant"],
            mode=options["mode"],
        )
        keep_installed_book()
        try:
            found = replay(selection, shown_max=max(0, options["show"]))
        except (ValueError, OverflowError) as error:
            raise CommandError(f"{options['event']!r} is no event id: {error}") from error
        if not found.counts.total() and (options["event"] or options["request"]):
            raise CommandError("no such row")
        self._report(found)
        if not found.is_clean:
            sys.exit(1)

    def _report(self, found: Replay) -> None:
        for outcome in found.bad:
            self.stdout.write(_line(outcome))
        hidden = sum(found.counts[verdict] for verdict in BAD) - len(found.bad)
        if hidden:
            self.stdout.write(f"... and {hidden} more")
        counts = ", ".join(f"{found.counts[verdict]} {verdict.value}" for verdict in Verdict)
        self.stdout.write(f"{found.counts.total()} rows: {counts}")


def _line(outcome: Outcome) -> str:
    row = outcome.row
    booked = f"booked ${format_usd(row.cost_nanousd)} / ${format_usd(row.charge_nanousd)}"
    should = ""
    if outcome.expected_nanousd:
        cost_nanousd, charge_nanousd = outcome.expected_nanousd
        should = f", comes to ${format_usd(cost_nanousd)} / ${format_usd(charge_nanousd)}"
    return f"{outcome.verdict.value}: {row.event_id} of {row.request_id}: {booked}{should}: {outcome.why}"


def _span(options: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    if not options["month"]:
        return _instant(options["start"]), _instant(options["end"])
    try:
        start = datetime.strptime(options["month"], "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise CommandError("--month is written 2026-11") from error
    return start, (start + timedelta(days=32)).replace(day=1)


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00:00")
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"{text!r} is no instant; write 2026-01-31T00:00:00Z")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
