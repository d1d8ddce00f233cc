"""What is shown of pushes: lists by state, what waits unsealed, one push's rows, and the next step in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from billing.models import LedgerRow, Push
from billing.pushing.arithmetic import unit_atto_of
from billing.pushing.currencies import minor_text
from billing.pushing.states import NEXT_STEPS, REASONS
from billing.pushing.targets import Waiting, find_target
from billing.pushing.unsealed import waiting_sums
from tenants.models import Customer, Tenant

ROWS_SHOWN_MAX = 200
FILTERS = ("state", "customer", "currency", "line", "why")
WAITING_REASONS: dict[str, str] = {
    "": "it is sealed five minutes past the hour",
    "customer_unknown": "the customer is not known here",
    "no_connection": "no Stripe account is connected",
    "no_meter": "there is no meter for the customer's currency",
    "which_currency": "there are meters in several currencies: map the customer",
}


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """Usage of hours that are over and in no push, and what it waits for."""

    customer: Customer | None
    oldest_at: datetime
    charge_nanousd: int
    row_count: int
    reason: str


def pushes_of(tenant: Tenant, mode: str, wanted: Mapping[str, str] | None = None) -> QuerySet[Push]:
    """A tenant's pushes of one mode, newest first, narrowed by what FILTERS name; the customer by either id."""
    rows = Push.objects.for_scope(tenant, mode).select_related("customer", "meter", "replaced_by")
    given = {name: value for name in FILTERS if wanted and (value := wanted.get(name, ""))}
    customer = given.pop("customer", "")
    if customer:
        rows = rows.filter(Q(customer_id=customer) | Q(customer__external_id=customer))
    return rows.filter(**given)


def counts_by_state(tenant: Tenant, mode: str) -> dict[str, int]:
    """How many of a tenant's pushes stand where; every state is named."""
    found = Push.objects.for_scope(tenant, mode).order_by().values_list("state").annotate(rows=Count("id"))
    counts = dict(found)
    return {state: counts.get(state, 0) for state in Push.State.values}


def waiting_lines(tenant: Tenant, mode: str, *, until: datetime) -> list[WaitingLine]:
    """What waits unsealed of hours that are over, oldest first, with the reason."""
    sums = waiting_sums(tenant.pk, mode, until=until)
    customers = Customer.objects.for_scope(tenant, mode).in_bulk([each.customer_id for each in sums])
    return [
        WaitingLine(
            customers.get(each.customer_id), each.oldest_at, each.charge_nanousd, each.row_count,
            WAITING_REASONS[_why(customers.get(each.customer_id), each.line)],
        )
        for each in sums
    ]  # fmt: skip


def rows_of_push(push: Push) -> list[LedgerRow]:
    """The ledger rows of a push's own bucket: what was booked then, and what a correction made billable with it."""
    if push.recorded_from is None or push.recorded_until is None:
        return []
    rows = LedgerRow.objects.filter(tenant_id=push.tenant_id, mode=push.mode, customer_id=push.customer_id)
    calls = rows.filter(
        corrects="", started_at__gte=push.bucket_start, started_at__lt=push.bucket_end,
        recorded_at__range=(push.recorded_from, push.recorded_until),
    ).exclude(basis="unresolved").exclude(charge_nanousd=0)  # fmt: skip
    corrections = rows.exclude(corrects="").filter(
        booked_at__gte=push.bucket_start,
        booked_at__lt=push.bucket_end,
        recorded_at__lte=push.recorded_until,
    )
    listed = list(corrections.order_by("recorded_at", "event_id")[:ROWS_SHOWN_MAX])
    expiries = rows.filter(
        month__in={row.month for row in listed},
        event_id__in={row.corrects for row in listed},
        basis="unresolved",
    )
    found = _made_billable(listed, {row.event_id: row for row in expiries})
    within = [row for at, row in found if push.recorded_from <= at <= push.recorded_until]
    return [*calls.order_by("started_at", "event_id")[:ROWS_SHOWN_MAX], *within]


def _made_billable(
    corrections: Iterable[LedgerRow], expiries: dict[str, LedgerRow]
) -> list[tuple[datetime, LedgerRow]]:
    """Each correction and each expiry with the instant at which both were booked; corrections oldest first."""
    found: list[tuple[datetime, LedgerRow]] = []
    paired: set[str] = set()
    for row in corrections:
        expiry = expiries.get(row.corrects)
        at = max(row.recorded_at, expiry.recorded_at) if expiry else row.recorded_at
        found.append((at, row))
        if expiry and expiry.event_id not in paired:
            paired.add(expiry.event_id)
            found.append((at, expiry))
    return found


def next_step(push: Push) -> str:
    """Say what comes next for a push, and why it stands where it does."""
    step = NEXT_STEPS[push.state]
    reason = reason_of(push)
    return f"{step} Reason: {reason}." if reason else step


def reason_of(push: Push) -> str:
    """Say in words why a push stands where it does; empty when there is nothing to say."""
    return REASONS.get(push.why, push.why.replace("_", " ")) if push.why else ""


def amount_text(push: Push) -> str:
    """Write what a push is worth in its currency, exactly: ``12.34 USD``."""
    return minor_text(push.value_units * push.unit_minor, push.currency)


def carry_text(push: Push) -> str:
    """Write what the customer's sum had beyond whole units after a push, as a share of one unit in thousandths."""
    unit_atto = unit_atto_of(push.currency, push.unit_minor)
    return f"0.{int(push.cumulative_atto) % unit_atto * 1000 // unit_atto:03d}"


def _why(customer: Customer | None, line: str) -> str:
    if customer is None:
        return "customer_unknown"
    target = find_target(customer, line)
    return target.why if isinstance(target, Waiting) else ""
