"""Where every nano-dollar of a tenant is: billed, on its way, waiting or carried, and what does not add up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum

from billing.ledger.billable import Who, charged_by_customer
from billing.models import BillingCursor, PeriodInvoice, Push, ReconRow, Unsealed
from billing.pushing.arithmetic import unit_atto_of
from billing.pushing.currencies import unit_minor_of
from billing.pushing.listing import WAITING_REASONS
from billing.pushing.states import REASONS
from billing.pushing.targets import Waiting, find_target
from tenants.models import Customer, Tenant

WITHOUT_CUSTOMER = ""
_TAKEN = (Push.State.ACCEPTED, Push.State.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not add up (``is_wrong``) or that waits, by name."""

    kind: str
    customer: str
    what: str
    is_wrong: bool

    @property
    def as_json(self) -> dict[str, Any]:
        """As it is kept with a closed month."""
        return {"kind": self.kind, "customer": self.customer, "what": self.what, "is_wrong": self.is_wrong}


@dataclass(slots=True)
class Sums:
    """One customer's money in one currency. The atto sums are of that currency; pushes in its units."""

    customer: str
    currency: str
    unit_atto: int
    sealed_nanousd: int
    cumulative_atto: int
    pushed_atto: int
    invoiced_units: int = 0
    underway_units: int = 0
    held_units: int = 0
    # Paid beforehand, so never sent.
    prepaid_units: int = 0

    @property
    def carry_atto(self) -> int:
        """What is sealed and in no push."""
        return self.cumulative_atto - self.pushed_atto

    @property
    def as_json(self) -> dict[str, Any]:
        """As it is kept with a closed month; atto as text, for they are beyond what JSON's readers keep."""
        return {
            "customer": self.customer, "currency": self.currency, "sealed_nanousd": str(self.sealed_nanousd),
            "cumulative_atto": str(self.cumulative_atto), "carry_atto": str(self.carry_atto),
            "unit_atto": str(self.unit_atto), "invoiced_units": self.invoiced_units,
            "underway_units": self.underway_units, "held_units": self.held_units,
            "prepaid_units": self.prepaid_units,
        }  # fmt: skip


@dataclass(slots=True)
class Standing:
    """A tenant's books at one instant."""

    ledger_nanousd: dict[str, int]
    unsealed_nanousd: dict[str, int]
    sums: list[Sums]
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether everything adds up; what waits is no error."""
        return not any(each.is_wrong for each in self.differences)


def standing(tenant: Tenant, mode: str, *, until: datetime) -> Standing:
    """Work out where everything is; ``until`` bounds what is listed as waiting. Read it in one snapshot."""
    who = Who(tenant.pk, mode)
    names = dict(Customer.objects.for_scope(tenant, mode).values_list("pk", "external_id"))
    found = Standing(charged_by_customer(who, _END), _unsealed(who), _sums(tenant, mode, names))
    found.differences += [
        *_books_against_sealed(found, names),
        *_cursors_against_pushes(tenant, mode, names),
        *_invoices_against_pushes(tenant, mode, names),
        *_hours(tenant, mode, until, names),
        *_unsealed_lines(tenant, mode, until),
        *_waiting_pushes(tenant, mode, until, names),
    ]
    return found


def _unsealed(who: Who) -> dict[str, int]:
    rows = Unsealed.objects.filter(tenant_id=who.tenant_id, mode=who.mode).order_by()
    return dict(rows.values_list("customer_id").annotate(charge=Sum("charge_nanousd")))


def _sums(tenant: Tenant, mode: str, names: dict[str, str]) -> list[Sums]:
    pushes = _standing_pushes(tenant, mode)
    closed = Q(customer__period_close__closed_until__gt=F("stamp_at"), state__in=_TAKEN)
    rows = pushes.values_list("customer_id", "currency").annotate(
        invoiced=Sum("value_units", filter=closed, default=0),
        underway=Sum("value_units", filter=Q(state__in=[*_TAKEN, *Push.SENDABLE]) & ~closed, default=0),
        held=Sum("value_units", filter=Q(state__in=[Push.State.HELD, *Push.IN_DOUBT]), default=0),
        prepaid=Sum("value_units", filter=Q(state=Push.State.VOID), default=0),
    )
    where = {(customer_id, currency): units for customer_id, currency, *units in rows}
    found = []
    for cursor in BillingCursor.objects.for_scope(tenant, mode).order_by("customer_id", "currency"):
        invoiced, underway, held, prepaid = where.get((cursor.customer_id, cursor.currency), (0, 0, 0, 0))
        unit_atto = unit_atto_of(cursor.currency, unit_minor_of(cursor.currency))
        found.append(
            Sums(
                names[cursor.customer_id], cursor.currency, unit_atto, int(cursor.sealed_nanousd),
                int(cursor.cumulative_atto), int(cursor.pushed_atto), invoiced_units=invoiced,
                underway_units=underway, held_units=held, prepaid_units=prepaid,
            )
        )  # fmt: skip
    return found


def _standing_pushes(tenant: Tenant, mode: str) -> QuerySet[Push]:
    """Every push that stands for money once: not what another stands for, nor a delta that a person sent."""
    rows = Push.objects.for_scope(tenant, mode).filter(fixes=None).order_by()
    return rows.exclude(state=Push.State.VOID, replaced_by__isnull=False)


def _books_against_sealed(found: Standing, names: dict[str, str]) -> list[Difference]:
    """What the books charge is sealed or waits to be; nothing else, nothing twice."""
    sealed: defaultdict[str, int] = defaultdict(int)
    for each in found.sums:
        sealed[each.customer] += each.sealed_nanousd
    listed = []
    for customer_id in sorted(found.ledger_nanousd.keys() | found.unsealed_nanousd.keys() | names.keys()):
        name = names.get(customer_id, customer_id)
        books = found.ledger_nanousd.get(customer_id, 0)
        taken = sealed.get(name, 0) + found.unsealed_nanousd.get(customer_id, 0)
        if books != taken:
            what = f"the books charge {books} nano-dollars; {taken} are sealed or wait to be"
            listed.append(Difference("books", name, what, is_wrong=True))
    return listed


def _cursors_against_pushes(tenant: Tenant, mode: str, names: dict[str, str]) -> list[Difference]:
    """What a cursor says was pushed is what its pushes come to."""
    pushes = _standing_pushes(tenant, mode)
    worth: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    rows = pushes.values_list("customer_id", "line", "currency", "unit_minor").annotate(
        units=Sum("value_units")
    )
    for customer_id, line, currency, unit_minor, units in rows:
        worth[(customer_id, line, currency)] += units * unit_atto_of(currency, unit_minor)
    listed = []
    for cursor in BillingCursor.objects.for_scope(tenant, mode):
        pushed = worth.pop((cursor.customer_id, cursor.line, cursor.currency), 0)
        if pushed != int(cursor.pushed_atto):
            what = (
                f"its pushes come to {pushed} atto of {cursor.currency}, its cursor says {cursor.pushed_atto}"
            )
            listed.append(Difference("pushes", names[cursor.customer_id], what, is_wrong=True))
    for (customer_id, line, currency), pushed in worth.items():
        what = f"{pushed} atto of {currency} were pushed in line {line} without a cursor"
        listed.append(Difference("pushes", names[customer_id], what, is_wrong=True))
    return listed


def _invoices_against_pushes(tenant: Tenant, mode: str, names: dict[str, str]) -> list[Difference]:
    """What an invoice that is final bills is what Stripe took for its period, and what hours explain beyond it."""
    listed = []
    for invoice in PeriodInvoice.objects.for_scope(tenant, mode).exclude(finalized_at=None):
        within = {"customer_id": invoice.customer_id, "meter_id": invoice.meter_id}
        pushes = Push.objects.filter(
            **within, stamp_at__gte=invoice.period_start, stamp_at__lt=invoice.period_end, state__in=_TAKEN
        )
        pushed = pushes.aggregate(units=Sum("value_units"))["units"] or 0
        hours = ReconRow.objects.filter(
            **within, hour__gte=invoice.period_start, hour__lt=invoice.period_end
        ).exclude(state=ReconRow.State.OK)  # fmt: skip
        beyond = sum((row.stripe_units - row.pushed_units for row in hours), start=0)
        if invoice.quantity_units != max(0, pushed + beyond):
            what = (
                f"invoice {invoice.invoice_id} bills {invoice.quantity_units.normalize():f} units, "
                f"{pushed} were taken for its period"
            )
            listed.append(Difference("invoice", names[invoice.customer_id], what, is_wrong=True))
    return listed


def _hours(tenant: Tenant, mode: str, until: datetime, names: dict[str, str]) -> list[Difference]:
    rows = ReconRow.objects.for_scope(tenant, mode).filter(hour__lt=until, fix=None)
    return [
        Difference(
            "hour", names[row.customer_id],
            f"{row.hour:%Y-%m-%d %H:00} is {row.state}: pushed {row.pushed_units}, Stripe has "
            f"{row.stripe_units.normalize():f}",
            is_wrong=row.state != ReconRow.State.LAGGING,
        )
        for row in rows.exclude(state=ReconRow.State.OK).order_by("hour", "id")
    ]  # fmt: skip


def _unsealed_lines(tenant: Tenant, mode: str, until: datetime) -> list[Difference]:
    rows = Unsealed.objects.filter(tenant_id=tenant.pk, mode=mode, at__lt=until).order_by()
    found = rows.values_list("customer_id", "line").annotate(charge=Sum("charge_nanousd"))
    customers = Customer.objects.for_scope(tenant, mode).in_bulk([each[0] for each in found])
    listed = []
    for customer_id, line, charge in sorted(found):
        customer = customers.get(customer_id)
        target = find_target(customer, line) if customer is not None else None
        why = "customer_unknown" if target is None else target.why if isinstance(target, Waiting) else ""
        what = f"{charge} nano-dollars are not sealed: {WAITING_REASONS.get(why, why)}"
        listed.append(
            Difference("unsealed", customer.external_id if customer else customer_id, what, is_wrong=False)
        )
    return listed


def _waiting_pushes(tenant: Tenant, mode: str, until: datetime, names: dict[str, str]) -> list[Difference]:
    done = [Push.State.CONFIRMED, Push.State.VOID]
    rows = Push.objects.for_scope(tenant, mode).filter(stamp_at__lt=until).exclude(state__in=done).order_by()
    found = rows.values_list("customer_id", "currency", "state", "why").annotate(
        units=Sum("value_units"), pushes=Count("id")
    )
    return [
        Difference(
            "held" if state == Push.State.HELD else "underway", names[customer_id],
            f"{pushes} pushes of {units} units ({currency}) are {state}"
            + (f": {REASONS.get(why, why)}" if why else ""),
            is_wrong=state == Push.State.FAILED,
        )
        for customer_id, currency, state, why, units, pushes in sorted(found)
    ]  # fmt: skip


_END = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
