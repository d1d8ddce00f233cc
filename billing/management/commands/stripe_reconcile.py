"""``manage.py stripe_reconcile``: compare books, pushes and Stripe's sums now, and print what differs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from billing.errors import NotConnected, StripeFailed
from billing.models import Push, ReconRow, StripeConnection
from billing.stripe.keys import gateway_of
from billing.stripe.reconciling import (
    READ_EVERY_S,
    BudgetSpent,
    CountedReads,
    Pair,
    Reconciled,
    reconcile_connection,
    reconcile_pair,
)

READS_MAX = 1000


class Command(BaseCommand):
    """Reconciliation by hand."""

    help = "Compare books, pushes and Stripe's sums by hour; exit 1 when something differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may be given."""
        parser.add_argument("--tenant", default="", help="one tenant, by id or slug")
        parser.add_argument("--mode", choices=("test", "live"), default="")
        parser.add_argument("--customer", default="", help="one customer, by either id")
        parser.add_argument("--day", default="", help="such as 2026-11-18, in UTC: all of its hours")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare and report. Raises: CommandError."""
        rows = StripeConnection.objects.exclude(secret="").select_related("tenant").order_by("pk")
        if options["tenant"]:
            rows = rows.filter(Q(tenant_id=options["tenant"]) | Q(tenant__slug=options["tenant"]))
        if options["mode"]:
            rows = rows.filter(mode=options["mode"])
        total, now = Reconciled(), timezone.now()
        for connection in rows:
            try:
                total.add(self._reconcile(connection, options, now))
            except (NotConnected, StripeFailed) as error:
                self.stderr.write(f"{connection.tenant.name} {connection.mode}: {error}")
        hours = ", ".join(f"{count} {state}" for state, count in sorted(total.hours.items())) or "none"
        self.stdout.write(
            f"customers: {total.customers}, hours: {hours}, confirmed: {total.confirmed}, reads: {total.reads}, "
            f"left for the next run: {total.left}"
        )
        if any(total.hours[state] for state in ("missing", "excess", "foreign")):
            sys.exit(1)

    def _reconcile(self, connection: StripeConnection, options: dict[str, Any], now: datetime) -> Reconciled:
        started = timezone.now()
        if not (options["customer"] or options["day"]):
            report = reconcile_connection(connection, now=now, every_s=READ_EVERY_S)
        else:
            report = _narrowed(connection, options, now)
        differing = ReconRow.objects.filter(
            meter__connection=connection, checked_at__gte=min(now, started)
        ).exclude(state="ok")
        for row in differing.select_related("customer", "meter").order_by("customer_id", "hour"):
            self.stdout.write(
                f"{row.state}: {row.customer.external_id} {row.meter.event_name} {row.hour:%Y-%m-%dT%H:00}Z "
                f"pushed {row.pushed_units}, in doubt {row.doubtful_units}, Stripe {row.stripe_units.normalize():f}"
            )
        return report


def _narrowed(connection: StripeConnection, options: dict[str, Any], now: datetime) -> Reconciled:
    pushes = Push.objects.filter(connection=connection).exclude(first_attempt_at=None).order_by()
    if options["customer"]:
        wanted = options["customer"]
        pushes = pushes.filter(Q(customer_id=wanted) | Q(customer__external_id=wanted))
    start, until = _span(options["day"], now)
    pushes = pushes.filter(stamp_at__gte=start, stamp_at__lt=until).select_related("customer", "meter")
    pairs = {(push.customer_id, push.meter_id): push for push in pushes}
    reads = CountedReads(gateway_of(connection), reads_max=READS_MAX, every_s=READ_EVERY_S)
    report = Reconciled(left=len(pairs))
    for push in pairs.values():
        assert push.meter is not None
        try:
            report.add(reconcile_pair(reads, Pair(push.customer, push.meter, start), until=until, now=now))
        except BudgetSpent:
            break
        report.left -= 1
    report.reads = reads.taken
    return report


def _span(day: str, now: datetime) -> tuple[datetime, datetime]:
    if not day:
        return now - timedelta(days=34), now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    try:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise CommandError("--day is written 2026-11-18") from error
    return start, start + timedelta(days=1)
