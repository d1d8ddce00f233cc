"""`manage.py calibration`: how good quotes were, by model and mode, as a table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.ledger.calibration import Calibration, Measure, calibration
from metering.money import format_usd

HEAD = (
    "model", "mode", "bound", "calls", "input above", "input p50/p99", "output above", "output p50/p99",
    "held unneeded", "overruns", "held $", "cost $",
)  # fmt: skip


class Command(BaseCommand):
    """Print bounds and holds against what providers reported."""

    help = (
        "Print, per model and mode, bounds and holds against what providers reported over the last UTC days."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a model and a number of days."""
        parser.add_argument("--provider", default="")
        parser.add_argument("--model", default="")
        parser.add_argument("--days", type=int, default=7, help="UTC days up to today (7)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Print the table, those with the most calls first. Raises: CommandError for days that make no sense."""
        if not 1 <= options["days"] <= 10_000:
            raise CommandError("--days is a number from 1 on")
        since = timezone.now().date() - timedelta(days=options["days"] - 1)
        found = calibration(since, provider=options["provider"], model=options["model"])
        rows = [HEAD, *map(_row, found)]
        widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        if not found:
            self.stdout.write(f"no call with reported usage since {since}")


def _row(each: Calibration) -> tuple[str, ...]:
    return (
        f"{each.provider}/{each.model}",
        each.mode,
        each.bound_class,
        str(each.calls),
        _above(each.input),
        _typical(each.input),
        _above(each.output),
        _typical(each.output),
        _percent(each.cost.unneeded_percent),
        str(each.cost.above_count),
        format_usd(each.cost.bound),
        format_usd(each.cost.actual),
    )


def _above(measure: Measure) -> str:
    calls = sum(measure.shares)
    permille = -(-measure.above_count * 1000 // calls) if calls else 0
    return f"{permille // 10}.{permille % 10} %"


def _typical(measure: Measure) -> str:
    """The share of the bound that half, and nearly all, of the calls stayed within."""
    found = (measure.permille_at(percent) for percent in (50, 99))
    return " / ".join("above" if edge is None else f"{edge / 10:g} %" for edge in found)


def _percent(percent: int | None) -> str:
    return "-" if percent is None else f"{percent} %"
