"""`manage.py verify_ledger`: recompute the chains of ledger rows, and say which row or link is not as it was booked."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.ledger.chain import DIGEST_BYTES, Finding
from billing.ledger.verifying import Selected, Verified, heads, verify

PROGRESS_ROWS = 100_000


class Command(BaseCommand):
    """Recompute chains; exit 1 when something is not as it was booked."""

    help = (
        "Recompute each tenant's chain of ledger rows, the sums kept of them and what corrections refer to; name the "
        "first link and row that differ (exit 1). Digests printed by --head, kept elsewhere and given to --expect, "
        "show that no tail was cut off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to verify; without anything, all there is."""
        parser.add_argument("--tenant", default="", help="one tenant by its id")
        parser.add_argument("--mode", choices=("test", "live"), default="")
        parser.add_argument(
            "--month", default="", help="rows of this month alone, such as 2026-11; no sums then"
        )
        parser.add_argument("--from-link", type=int, default=1, help="begin here and believe the link before")
        parser.add_argument(
            "--detached",
            action="append",
            default=[],
            help="a month whose rows were moved out of the database",
        )
        parser.add_argument(
            "--head", action="store_true", help="print each chain's newest digest, nothing else"
        )
        parser.add_argument("--expect", action="append", default=[], help="a digest that must be in a chain")
        parser.add_argument("--expect-file", default="", help="a file of what --head printed")
        parser.add_argument("--show", type=int, default=20, help="print at most so many findings")

    def handle(self, *_: Any, **options: Any) -> None:
        """Verify and report. Raises: CommandError for a selection that makes no sense."""
        selected = self._selected(options)
        if options["head"]:
            for tenant_id, mode, number, digest in heads(selected):
                self.stdout.write(f"{tenant_id} {mode} {number} {digest.hex()}")
            return
        self._reported_rows = 0
        found = verify(selected, told=self._progress)
        shown = max(1, options["show"])
        for finding in found.findings[:shown]:
            self.stdout.write(_line(finding))
        if len(found.findings) > shown:
            self.stdout.write(f"... and {len(found.findings) - shown} more")
        verdict = f"{len(found.findings)} not as booked" if found.findings else "all as booked"
        self.stdout.write(f"{found.chains} chains, {found.links} links, {found.rows} rows: {verdict}")
        if found.findings:
            sys.exit(1)

    def _progress(self, where: str, so_far: Verified) -> None:
        if so_far.rows - self._reported_rows >= PROGRESS_ROWS:
            self._reported_rows = so_far.rows
            self.stdout.write(f"{where}: {so_far.links} links, {so_far.rows} rows read")

    def _selected(self, options: dict[str, Any]) -> Selected:
        if options["from_link"] > 1 and not (options["tenant"] and options["mode"]):
            raise CommandError("--from-link is a number within one chain: give --tenant and --mode")
        return Selected(
            tenant_id=options["tenant"],
            mode=options["mode"],
            month=_month(options["month"]) if options["month"] else None,
            from_link=options["from_link"],
            detached=frozenset(map(_month, options["detached"])),
            expected=_expected(options),
        )


def _expected(options: dict[str, Any]) -> frozenset[bytes]:
    texts = list(options["expect"])
    if options["expect_file"]:
        try:
            lines = Path(options["expect_file"]).read_text().splitlines()
        except OSError as error:
            raise CommandError(str(error)) from error
        kept = [line.split() for line in lines if line.strip()]
        # A file covers all chains; of a selection, only its own are looked for.
        texts += [line[-1] for line in kept if _is_asked(line, options)]
    try:
        digests = frozenset(map(bytes.fromhex, texts))
    except ValueError as error:
        raise CommandError(f"a digest is {2 * DIGEST_BYTES} hex digits: {error}") from error
    if any(len(digest) != DIGEST_BYTES for digest in digests):
        raise CommandError(f"a digest is {2 * DIGEST_BYTES} hex digits")
    return digests


def _is_asked(line: list[str], options: dict[str, Any]) -> bool:
    if len(line) != 4:
        raise CommandError(f"{' '.join(line)!r} is no line of --head")
    return options["tenant"] in ("", line[0]) and options["mode"] in ("", line[1])


def _line(finding: Finding) -> str:
    link = f" link {finding.link}" if finding.link else ""
    row = f" {finding.event_id}" if finding.event_id else ""
    return f"{finding.what}: {finding.where}{link}{row}: {finding.detail}"


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError as error:
        raise CommandError("a month is written 2026-11") from error
