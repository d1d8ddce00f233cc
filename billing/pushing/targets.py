"""Where a customer's usage is to go, or in words why it waits: read in one place, decided nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from billing.models import CustomerMap, PeriodClose, PushDestination, StripeConnection, StripeMeter
from tenants.models import Customer

CUSTOMER_UNKNOWN, NO_CONNECTION, NO_METER, WHICH_CURRENCY = (
    "customer_unknown", "no_connection", "no_meter", "which_currency",
)  # fmt: skip
UNMAPPED, NO_SUBSCRIPTION, CUSTOMER_DELETED = "unmapped", "no_subscription", "customer_deleted"
_HELD_BECAUSE = {
    CustomerMap.State.NO_SUBSCRIPTION: NO_SUBSCRIPTION,
    CustomerMap.State.DELETED: CUSTOMER_DELETED,
    CustomerMap.State.UNMAPPED: UNMAPPED,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be sealed yet: the usage stays where it is, and this says what is missing."""

    why: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where pushes of a customer go: a meter or a destination, with what it counts in."""

    customer: Customer
    currency: str
    unit_minor: int
    meter: StripeMeter | None = None
    destination: PushDestination | None = None
    stripe_customer_id: str = ""
    held_why: str = ""
    period: tuple[datetime, datetime] | None = None
    closed_until: datetime | None = None

    @property
    def target_id(self) -> str:
        """What one push per minute is about."""
        row = self.meter or self.destination
        assert row is not None
        return str(row.pk)

    @property
    def edges(self) -> tuple[datetime, ...]:
        """The edges of billing periods that are known, in order."""
        return self.period or ()


def find_target(customer: Customer, line: str) -> Target | Waiting:
    """Find where a customer's usage of a line goes."""
    closed = closed_until_of(customer)
    connection = (
        StripeConnection.objects.for_scope(customer.tenant, customer.mode)
        .exclude(status=StripeConnection.Status.DISCONNECTED)
        .first()
    )
    if connection is None:
        return _destination_of(customer, closed)
    mapped = CustomerMap.objects.filter(customer=customer, connection=connection).first()
    meter = _meter_of(connection, line, mapped)
    if isinstance(meter, Waiting):
        return meter
    return Target(
        customer,
        meter.currency,
        meter.unit_minor,
        meter=meter,
        stripe_customer_id=mapped.stripe_customer_id if mapped else "",
        held_why=held_because(mapped),
        period=_period_of(mapped),
        closed_until=closed,
    )


def closed_until_of(customer: Customer) -> datetime | None:
    """Say up to where a customer's invoices were told to be final."""
    return PeriodClose.objects.filter(customer=customer).values_list("closed_until", flat=True).first()


def held_because(mapped: CustomerMap | None) -> str:
    """Say why a customer's pushes are held; empty when they may go."""
    return UNMAPPED if mapped is None else _HELD_BECAUSE.get(CustomerMap.State(mapped.state), "")


def _destination_of(customer: Customer, closed: datetime | None) -> Target | Waiting:
    found = (
        PushDestination.objects.for_scope(customer.tenant, customer.mode)
        .exclude(status=PushDestination.Status.DISABLED)
        .first()
    )
    if found is None:
        return Waiting(NO_CONNECTION)
    return Target(customer, found.currency, found.unit_minor, destination=found, closed_until=closed)


def _meter_of(connection: StripeConnection, line: str, mapped: CustomerMap | None) -> StripeMeter | Waiting:
    meters = StripeMeter.objects.filter(connection=connection, line=line).exclude(
        status=StripeMeter.Status.ARCHIVED
    )
    if mapped is not None:
        return meters.filter(currency=mapped.currency).first() or Waiting(NO_METER)
    # Nobody has said yet what the customer pays in: only where there is no choice, is it known.
    found = list(meters[:2])
    if len(found) == 1:
        return found[0]
    return Waiting(WHICH_CURRENCY if found else NO_METER)


def _period_of(mapped: CustomerMap | None) -> tuple[datetime, datetime] | None:
    if mapped is None or mapped.period_start is None or mapped.period_end is None:
        return None
    return mapped.period_start, mapped.period_end
