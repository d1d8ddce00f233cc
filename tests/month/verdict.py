"""The month judged: every sum beside what Stripe's stand-in counted and invoiced by its own books, to the last atto."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Sum

from billing.closing.figures import standing
from billing.ledger.recompute import Verdict as RowVerdict
from billing.ledger.replaying import Replay, Selection, replay
from billing.models import BillingCursor, LedgerRow, Push, PushAttempt, Unsealed
from billing.pushing.arithmetic import unit_atto_of
from billing.pushing.currencies import minor_digits
from billing.statements.lines import statement_of
from billing.statements.periods import month_period
from metering.money import format_usd
from tests.month.course import Course
from tests.month.plan import CURRENCIES

GONE = (Push.State.VOID,)


@dataclass
class Where:
    """Where one currency's money is, in atto of it."""

    customers: int = 0
    due_atto: int = 0
    unsealed_atto: int = 0
    invoiced_atto: int = 0
    next_atto: int = 0
    held_atto: int = 0
    carried_atto: int = 0

    @property
    def found_atto(self) -> int:
        """All places together."""
        return self.unsealed_atto + self.invoiced_atto + self.next_atto + self.held_atto + self.carried_atto


@dataclass
class Judgement:
    """What was found; ``wrong`` is empty when every claim holds."""

    wrong: list[str] = field(default_factory=list)
    where: dict[str, Where] = field(default_factory=lambda: {name: Where() for name in CURRENCIES})
    rows: int = 0
    ledger_nanousd: int = 0
    statements_nanousd: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    replayed: Replay | None = None

    def claim(self, is_so: bool, what: str) -> None:
        """Note a claim that does not hold."""
        if not is_so:
            self.wrong.append(what)


def judge(course: Course) -> Judgement:
    """Hold everything against the simulator's own books, and the books against the calls that were made."""
    judgement = Judgement()
    told = course.stripe.told("truth")
    [book] = [each for each in told["books"] if each["totals"]]
    events = [each for each in course.stripe.told("usage") if each["state"] == "counted"]
    _judge_books(course, judgement)
    _judge_events(course, judgement, events)
    for number in range(len(course.customers)):
        _judge_customer(course, judgement, number, book, events)
    for currency, where in judgement.where.items():
        judgement.claim(
            where.due_atto == where.found_atto,
            f"{currency}: {where.due_atto} are due, {where.found_atto} were found",
        )
    found = standing(course.tenant, "test", until=course.plan.end)
    wrong = [f"{each.customer}: {each.what}" for each in found.differences if each.is_wrong]
    judgement.wrong += [f"close: {each}" for each in wrong]
    _facts(course, judgement, book)
    return judgement


def _judge_books(course: Course, judgement: Judgement) -> None:
    """The ledger is what the calls cost; statements of both months are the ledger; each row follows from its usage."""
    plan = course.plan
    rows = LedgerRow.objects.filter(tenant_id=course.tenant.pk)
    judgement.rows = rows.count()
    judgement.claim(
        judgement.rows == plan.rows, f"{plan.rows} were booked, {judgement.rows} are in the ledger"
    )
    judgement.ledger_nanousd = sum(
        sum(days.values()) for days in plan.billable.values()
    )  # fmt: skip
    sealed = sum(int(cursor.sealed_nanousd) for cursor in BillingCursor.objects.all())
    unsealed = Unsealed.objects.aggregate(charge=Sum("charge_nanousd"))["charge"] or 0
    judgement.claim(
        sealed + unsealed == judgement.ledger_nanousd,
        f"sealed {sealed} and unsealed {unsealed} are not the ledger's {judgement.ledger_nanousd}",
    )
    now = plan.end + timedelta(days=40)
    months = [month_period(each.year, each.month, "UTC") for each in (plan.start, plan.end)]
    judgement.statements_nanousd = sum(
        statement_of(customer, month, now=now).total_nanousd
        for customer in course.customers
        for month in months
    )
    judgement.claim(
        judgement.statements_nanousd == judgement.ledger_nanousd,
        f"statements come to {judgement.statements_nanousd}, the ledger to {judgement.ledger_nanousd}",
    )
    judgement.replayed = replay(Selection(tenant_id=course.tenant.pk))
    judgement.claim(judgement.replayed.is_clean, f"replay: {dict(judgement.replayed.counts)}")


def _judge_events(course: Course, judgement: Judgement, events: list[dict[str, Any]]) -> None:
    """Each push was counted once, as it says, and nothing was counted that is no push."""
    pushes = {push.identifier: push for push in Push.objects.exclude(state__in=GONE)}
    times = Counter(each["identifier"] for each in events)
    twice = [name for name, count in times.items() if count != 1]
    judgement.claim(not twice, f"{len(twice)} pushes were counted more than once")
    strange = [each for each in events if each["identifier"] not in pushes]
    judgement.claim(not strange, f"{len(strange)} counted events belong to no push that stands")
    changed = [
        each for each in events
        if (push := pushes.get(each["identifier"])) is not None
        and (int(each["value"]), each["customer"], each["timestamp_s"])
        != (push.value_units, push.stripe_customer_id, int(push.stamp_at.timestamp()))
    ]  # fmt: skip
    judgement.claim(not changed, f"{len(changed)} events differ from their pushes")
    taken = {push.identifier for push in pushes.values() if push.state == Push.State.CONFIRMED}
    judgement.claim(taken <= times.keys(), f"{len(taken - times.keys())} confirmed pushes were never counted")


def _judge_customer(
    course: Course, judgement: Judgement, number: int, book: dict[str, Any], events: list[dict[str, Any]]
) -> None:
    """One customer's money: unsealed, invoiced by Stripe, counted for the next invoice, held, carried."""
    plan, customer, buyer = course.plan, course.customers[number], course.plan.buyers[number]
    where = judgement.where[buyer.currency]
    unit_atto = unit_atto_of(buyer.currency, course.meters[buyer.currency].unit_minor)
    at_stripe = course.cus.get(number, "")
    due_atto, unsealed_atto = plan.due_atto(number), _unsealed_atto(course, number)
    invoices = [
        each for each in book["invoices"]
        if each["customer"] == at_stripe and each["billing_reason"] == "subscription_cycle"
    ]  # fmt: skip
    if at_stripe:
        judgement.claim(
            [each["status"] for each in invoices] == ["paid"], f"{customer}: its invoices are {invoices}"
        )
    minor_atto = int(10 ** (18 - minor_digits(buyer.currency)))
    invoiced_atto = sum(each["subtotal"] for each in invoices if each["status"] != "draft") * minor_atto
    mine = [each for each in events if each["customer"] == at_stripe]
    edge_s = plan.end.timestamp()
    in_time_units = sum(int(each["value"]) for each in mine if each["timestamp_s"] < edge_s)
    next_units = sum(int(each["value"]) for each in mine if each["timestamp_s"] >= edge_s)
    judgement.claim(
        in_time_units * unit_atto == invoiced_atto,
        f"{customer}: {in_time_units} units were counted, {invoiced_atto} atto invoiced",
    )
    counted = {each["identifier"] for each in mine}
    pushes = list(Push.objects.filter(customer=customer).exclude(state__in=GONE))
    held_units = sum(push.value_units for push in pushes if push.identifier not in counted)
    cursor = BillingCursor.objects.filter(customer=customer).first()
    cumulative_atto = int(cursor.cumulative_atto) if cursor else 0
    carried_atto = cumulative_atto - sum(push.value_units for push in pushes) * unit_atto
    judgement.claim(
        cumulative_atto + unsealed_atto == due_atto,
        f"{customer}: sealed {cumulative_atto} + unsealed {unsealed_atto} atto, due {due_atto}",
    )
    is_owed = bool(cursor and cursor.is_owed)
    judgement.claim(is_owed or 0 <= carried_atto < unit_atto, f"{customer}: {carried_atto} atto are carried")
    total_atto = invoiced_atto + (next_units + held_units) * unit_atto + carried_atto + unsealed_atto
    judgement.claim(total_atto == due_atto, f"{customer}: {due_atto} atto are due, {total_atto} were found")
    where.customers += 1
    where.due_atto += due_atto
    where.unsealed_atto += unsealed_atto
    where.invoiced_atto += invoiced_atto
    where.next_atto += next_units * unit_atto
    where.held_atto += held_units * unit_atto
    where.carried_atto += carried_atto


def _unsealed_atto(course: Course, number: int) -> int:
    by_day: defaultdict[date, int] = defaultdict(int)
    rows = Unsealed.objects.filter(customer_id=course.customers[number].pk)
    for at, charge in rows.values_list("at", "charge_nanousd"):
        by_day[_day(at)] += charge
    currency = course.plan.buyers[number].currency
    return sum(charge * course.plan.rate_nano(currency, day) for day, charge in by_day.items())


def _day(at: datetime) -> date:
    return at.date()


def _facts(course: Course, judgement: Judgement, book: dict[str, Any]) -> None:
    states = dict(Push.objects.order_by().values_list("state").annotate(rows=Count("id")))
    assert judgement.replayed is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM push WHERE late_from IS NOT NULL AND state <> 'void'")
        [late] = cursor.fetchone()
    judgement.facts = {
        "customers": len(course.customers),
        "ledger rows": judgement.rows,
        "ledger, billable": f"${format_usd(judgement.ledger_nanousd)}",
        "statements": f"${format_usd(judgement.statements_nanousd)}",
        **{f"replayed: {verdict.value}": judgement.replayed.counts[verdict] for verdict in RowVerdict},
        **{f"pushes {state}": count for state, count in sorted(states.items())},
        "pushes stamped later than used": late,
        "attempts": PushAttempt.objects.count(),
        "attempts whose worker died": PushAttempt.objects.filter(verdict="lost").count(),
        "events counted": book["events_by_state"].get("counted", 0),
        "events rejected later": book["events_by_state"].get("rejected", 0),
        "repeats refused by Stripe": book["duplicates_refused"],
        "reads to reconcile": course.reconciled.reads,
        "pushes confirmed at night": course.reconciled.confirmed,
        **{name: count for name, count in sorted(course.counts.items()) if not name.startswith("_")},
    }


def table(judgement: Judgement) -> str:
    """Write what was found as two tables, amounts in minor units of each currency, exactly."""
    lines = [
        "| currency | customers | due | = | invoiced | next invoice | held back | unsealed | carried |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for currency, where in judgement.where.items():
        parts = (
            where.invoiced_atto,
            where.next_atto,
            where.held_atto,
            where.unsealed_atto,
            where.carried_atto,
        )
        cells = " | ".join(_plain(part, currency) for part in parts)
        sign = "=" if where.due_atto == where.found_atto else "≠"
        lines.append(
            f"| {currency} | {where.customers} | {_plain(where.due_atto, currency)} | {sign} | {cells} |"
        )
    lines += ["", "| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in judgement.facts.items()]
    return "\n".join(lines)


def _plain(atto: int, currency: str) -> str:
    whole, fraction = divmod(atto, 10**18)
    return f"{whole}.{fraction:018d}".rstrip("0").rstrip(".") if fraction else str(whole)
