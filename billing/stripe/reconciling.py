"""Reconciliation: books, pushes and Stripe's sums compared by customer, meter and hour.

It proves what was taken (accepted becomes confirmed), decides what is in doubt by its minute, and writes down what
differs. It never mends: what Stripe has too much of is taken back by a person (``fixing``). Reads are few: one call for
a customer's unproven hours, a minute only for what is in doubt, and no more in a night than Stripe's allowance bears.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Min, Q, QuerySet

from billing.errors import NotConnected, StripeFailed
from billing.ledger.billable import Who, charged_by_hour
from billing.models import CustomerMap, Push, ReconRow, StripeConnection, StripeMeter
from billing.pushing.confirming import confirm, read_minute
from billing.pushing.stamping import HOUR, STAMP_AGE_MAX, hour_of
from billing.pushing.writing import NoMinuteFree
from billing.stripe.comparing import Minute, Verdict, judge_hour, judge_surplus
from billing.stripe.connecting import note_outcome
from billing.stripe.gateway import PAGE_MAX, Gateway, Grouping
from billing.stripe.keys import gateway_of
from billing.stripe.objects import Summary
from tenants.models import Customer

log = logging.getLogger(__name__)

# Stripe allows 10,000 reads a month to the smallest account, and 500 for each of its transactions.
READS_A_NIGHT_MIN = 300
# Far below the 25 a second that one endpoint takes.
READ_EVERY_S = 0.2
LOOKED_BACK = timedelta(days=2)
_TAKEN = (Push.State.ACCEPTED, Push.State.CONFIRMED)
_UNPROVEN = (Push.State.ACCEPTED, Push.State.AMBIGUOUS, Push.State.REJECTED)
_STATE = ReconRow.State


class BudgetSpent(Exception):
    """This run has read as often as it may; the rest has its turn in the next one."""


class CountedReads:
    """A gateway's sums, counted: each page is a read, and no read is begun beyond the budget."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        reads_max: int,
        every_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.taken = 0
        self._gateway = gateway
        self._reads_max = reads_max
        self._every_s = every_s
        self._sleep = sleep

    def summaries(
        self,
        meter_id: str,
        stripe_customer_id: str,
        start: datetime,
        end: datetime,
        *,
        grouping: Grouping | None = None,
    ) -> list[Summary]:
        """Read what was counted in [start, end). Raises: BudgetSpent; StripeFailed."""
        if self.taken >= self._reads_max:
            raise BudgetSpent
        if self.taken and self._every_s:
            self._sleep(self._every_s)
        self.taken += 1
        found = self._gateway.summaries(meter_id, stripe_customer_id, start, end, grouping=grouping)
        self.taken += max(0, -(-len(found) // PAGE_MAX) - 1)
        return found


@dataclass(frozen=True, slots=True)
class Pair:
    """A customer on a meter, and from when on something of it is to be compared."""

    customer: Customer
    meter: StripeMeter
    since: datetime


@dataclass(slots=True)
class Reconciled:
    """What a run found: customers, hours by state, pushes proven, reads taken, customers left for the next run."""

    customers: int = 0
    hours: Counter[str] = field(default_factory=Counter)
    confirmed: int = 0
    reads: int = 0
    left: int = 0

    def add(self, other: Reconciled) -> None:
        """Add another run's figures."""
        self.customers += other.customers
        self.hours += other.hours
        self.confirmed += other.confirmed
        self.reads += other.reads
        self.left += other.left


def reconcile_all(now: datetime, *, every_s: float = READ_EVERY_S) -> Reconciled:
    """Compare what is due of every connection that may be asked."""
    report = Reconciled()
    usable = StripeConnection.objects.filter(status__in=["new", "ok"]).exclude(secret="")
    for connection in usable.select_related("tenant"):
        try:
            report.add(reconcile_connection(connection, now=now, every_s=every_s))
        except NotConnected as error:
            log.warning("recon.not_connected", extra={"connection_id": connection.pk, "why": str(error)})
    return report


def reconcile_connection(
    connection: StripeConnection, *, now: datetime, reads_max: int | None = None, every_s: float = 0.0
) -> Reconciled:
    """Compare a connection's unproven and recent hours, the longest unproven first, within its reads.

    Raises: NotConnected.
    """
    pairs = pairs_due(connection, now)
    most = night_budget(connection) if reads_max is None else reads_max
    reads = CountedReads(gateway_of(connection), reads_max=most, every_s=every_s)
    report = Reconciled(left=len(pairs))
    for pair in pairs:
        try:
            found = reconcile_pair(reads, pair, until=hour_of(now) + HOUR, now=now)
        except BudgetSpent:
            log.info("recon.reads_spent", extra={"connection_id": connection.pk, "left": report.left})
            break
        except StripeFailed as error:
            log.warning("recon.failed", extra={"customer_id": pair.customer.pk, "why": str(error)})
            if error.outcome is not None and note_outcome(connection, error.outcome):
                break
            continue
        report.left -= 1
        report.add(found)
    report.reads = reads.taken
    return report


def night_budget(connection: StripeConnection) -> int:
    """How many reads a night may take: Stripe's floor, or one for each customer who is invoiced."""
    mapped = CustomerMap.objects.filter(connection=connection, state=CustomerMap.State.MAPPED).count()
    return max(READS_A_NIGHT_MIN, mapped)


def pairs_due(connection: StripeConnection, now: datetime) -> list[Pair]:
    """Who has something unproven, or had pushes these days; the oldest unproven stamp first."""
    unproven = Q(state__in=_UNPROVEN) & ~Q(first_attempt_at=None)
    recent = Q(stamp_at__gte=now - LOOKED_BACK) & ~Q(first_attempt_at=None)
    rows = Push.objects.filter(connection=connection, stamp_at__gte=now - STAMP_AGE_MAX).order_by()
    found = rows.filter(unproven | recent).values("customer_id", "meter_id").annotate(
        oldest=Min("stamp_at", filter=unproven), newest=Min("stamp_at")
    )  # fmt: skip
    chosen = sorted(found, key=lambda each: (each["oldest"] or now, each["customer_id"]))
    customers = Customer.objects.in_bulk([each["customer_id"] for each in chosen])
    meters = StripeMeter.objects.in_bulk([each["meter_id"] for each in chosen])
    return [
        Pair(customers[each["customer_id"]], meters[each["meter_id"]], each["oldest"] or each["newest"])
        for each in chosen
    ]


def reconcile_pair(reads: CountedReads, pair: Pair, *, until: datetime, now: datetime) -> Reconciled:
    """Compare a customer's hours on a meter from ``pair.since`` on.

    Raises: BudgetSpent, and then no hour of it is written; StripeFailed.
    """
    return _Comparison(reads, pair, hour_of(pair.since), until, now).run()


class _Comparison:
    """One customer on one meter over a span of hours: read once, judged hour by hour, written at the end."""

    def __init__(
        self, reads: CountedReads, pair: Pair, start: datetime, end: datetime, now: datetime
    ) -> None:
        self._reads = reads
        self._pair = pair
        self._span = (start, end)
        self._now = now
        self._report = Reconciled(customers=1)

    def run(self) -> Reconciled:
        """Read, decide what is in doubt, judge, prove, write."""
        totals = self._totals()
        self._decide_doubtful()
        hours = self._pushes_by_hour()
        known = {row.hour: row for row in self._known().select_related("fix")}
        charged = charged_by_hour(
            Who(self._pair.customer.tenant_id, self._pair.customer.mode), self._pair.customer.pk, *self._span
        )
        rows = []
        for hour in sorted(totals.keys() | hours.keys() | known.keys() | charged.keys()):
            total, pushes = totals.get(hour, Decimal(0)), hours.get(hour, [])
            verdict = self._judge(total, pushes, known.get(hour))
            rows.append(self._row(hour, total, pushes, verdict, known.get(hour), charged.get(hour, 0)))
            self._prove(verdict, pushes)
            self._report.hours[verdict.state] += 1
        self._write(rows, known)
        return self._report

    def _totals(self) -> dict[datetime, Decimal]:
        totals: defaultdict[datetime, Decimal] = defaultdict(Decimal)
        sent = self._pushes().values_list("stripe_customer_id", flat=True).distinct().order_by()
        for stripe_customer_id in sorted(set(sent) - {""}):
            for each in self._reads.summaries(
                self._pair.meter.stripe_meter_id, stripe_customer_id, *self._span, grouping="hour"
            ):
                totals[each.start] += each.value
        return totals

    def _decide_doubtful(self) -> None:
        for push in self._pushes().filter(state__in=[Push.State.AMBIGUOUS, Push.State.REJECTED]):
            self._confirm(push)

    def _confirm(self, push: Push) -> None:
        try:
            self._report.confirmed += confirm(push, self._reads, now=self._now) == "confirmed"
        except NoMinuteFree:
            log.info("recon.no_minute", extra={"push": push.identifier})

    def _judge(self, total: Decimal, pushes: list[Push], known: ReconRow | None) -> Verdict:
        taken = [push for push in pushes if push.state in _TAKEN]
        expected_units = sum(push.value_units for push in taken) - fixed_units(known)
        verdict = judge_hour(
            expected_units,
            total,
            youngest_at=max((push.accepted_at for push in taken if push.accepted_at), default=None),
            is_doubtful=any(_is_being_tried(push) for push in pushes),
            now=self._now,
        )
        if verdict is not None:
            return verdict
        return judge_surplus(total, [Minute(push.value_units, self._minute(push)) for push in pushes])

    def _minute(self, push: Push) -> Decimal:
        return read_minute(self._reads, push)

    def _prove(self, verdict: Verdict, pushes: list[Push]) -> None:
        open_ids = [push.pk for push in pushes if push.state == Push.State.ACCEPTED]
        if verdict.state == _STATE.OK:
            rows = Push.objects.filter(pk__in=open_ids, state=Push.State.ACCEPTED)
            self._report.confirmed += rows.update(
                state=Push.State.CONFIRMED,
                why="",
                confirmed_at=self._now,
                absent_since=None,
                is_doubtful=False,
            )
        elif verdict.state != _STATE.LAGGING:
            # The hour as a whole proves nothing: each by its own minute.
            for push in pushes:
                if push.pk in open_ids:
                    self._confirm(push)

    def _row(
        self, hour: datetime, total: Decimal, pushes: list[Push], verdict: Verdict,
        known: ReconRow | None, charged_nanousd: int,
    ) -> ReconRow:  # fmt: skip
        customer = self._pair.customer
        is_same = known is not None and known.state == verdict.state
        if verdict.state not in (_STATE.OK, _STATE.LAGGING) and not is_same:
            log.error(
                "recon.differs",
                extra={
                    "customer_id": customer.pk, "meter_id": self._pair.meter.pk, "hour": hour.isoformat(),
                    "state": verdict.state, "why": verdict.why, "stripe_units": str(total),
                },
            )  # fmt: skip
        return ReconRow(
            tenant_id=customer.tenant_id, mode=customer.mode, customer=customer, meter=self._pair.meter, hour=hour,
            ledger_nanousd=charged_nanousd, stripe_units=total, state=verdict.state, why=verdict.why,
            pushed_units=sum(push.value_units for push in pushes if push.state in _TAKEN),
            doubtful_units=sum(push.value_units for push in pushes if _is_in_doubt(push)),
            since=known.since if known is not None and is_same else self._now, checked_at=self._now,
        )  # fmt: skip

    def _write(self, rows: list[ReconRow], known: dict[datetime, ReconRow]) -> None:
        ReconRow.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["customer", "meter", "hour"],
            update_fields=[
                "ledger_nanousd", "pushed_units", "doubtful_units", "stripe_units", "state", "why", "since",
                "checked_at",
            ],
        )  # fmt: skip

    def _known(self) -> QuerySet[ReconRow]:
        start, end = self._span
        return ReconRow.objects.filter(
            customer=self._pair.customer, meter=self._pair.meter, hour__gte=start, hour__lt=end
        )

    def _pushes(self) -> QuerySet[Push]:
        """Whatever was ever sent into the span, replaced or not."""
        start, end = self._span
        rows = Push.objects.filter(
            customer=self._pair.customer, target_id=self._pair.meter.pk, stamp_at__gte=start, stamp_at__lt=end
        )
        return rows.exclude(first_attempt_at=None).select_related("meter")

    def _pushes_by_hour(self) -> dict[datetime, list[Push]]:
        found: defaultdict[datetime, list[Push]] = defaultdict(list)
        for push in self._pushes():
            found[hour_of(push.stamp_at)].append(push)
        return found


def fixed_units(row: ReconRow | None) -> int:
    """What a person took back of an hour's surplus, as the (negative) value of that push."""
    return row.fix.value_units if row is not None and row.fix is not None else 0


def _is_being_tried(push: Push) -> bool:
    return push.state == Push.State.INFLIGHT or (push.state == Push.State.RETRY and push.is_doubtful)


def _is_in_doubt(push: Push) -> bool:
    return _is_being_tried(push) or push.state in Push.IN_DOUBT
