"""The demo tenant at the simulated Stripe of ``make run``: connected, set up, its first customer invoiced."""

from __future__ import annotations

from django.db.models import QuerySet

from billing.errors import StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.stripe.catalog import MeterTerms, archive_meter, set_up_meter, subscribe
from billing.stripe.connecting import connect, rotate_key
from billing.stripe.keys import gateway_of, is_simulated
from billing.stripe.mapping import create_buyer, unmap_customer
from billing.stripe.outcomes import Verdict
from tenants.actions.bootstrapping import OPERATOR
from tenants.errors import WrongState
from tenants.models import Customer, Tenant

MODE = "test"
KEY = "rk_test_sim"
CURRENCY = "usd"


def connect_demo(tenant: Tenant, external_id: str) -> CustomerMap:
    """Connect a tenant to the simulator and put one customer on a price; done again it mends what is missing.

    The simulator forgets at each start, so that what an earlier one had is set up anew.
    Raises: WrongState where Stripe is no simulator; StripeFailed.
    """
    if not is_simulated():
        raise WrongState("the demo is connected to a simulator alone")
    connection = _connected(tenant)
    meter = _metered(connection)
    customer = Customer.objects.for_scope(tenant, MODE).get(external_id=external_id)
    _drop_forgotten(connection, CustomerMap.objects.filter(connection=connection))
    mapping = CustomerMap.objects.filter(customer=customer).exclude(state=CustomerMap.State.UNMAPPED).first()
    if mapping is None:
        mapping = create_buyer(
            connection=connection, customer=customer, actor=OPERATOR, email=f"billing@{external_id}.example"
        ).row
    if mapping.state == CustomerMap.State.NO_SUBSCRIPTION:
        mapping = subscribe(mapping=mapping, meter=meter, actor=OPERATOR).row
    return mapping


def _connected(tenant: Tenant) -> StripeConnection:
    known = StripeConnection.objects.for_scope(tenant, MODE).select_related("tenant").first()
    if known is None or known.status == StripeConnection.Status.DISCONNECTED:
        return connect(tenant=tenant, mode=MODE, actor=OPERATOR, api_key=KEY).row
    if known.status == StripeConnection.Status.BROKEN:
        return rotate_key(connection=known, actor=OPERATOR, api_key=KEY).row
    return known


def _metered(connection: StripeConnection) -> StripeMeter:
    gateway = gateway_of(connection)
    rows = StripeMeter.objects.filter(connection=connection, currency=CURRENCY).select_related("tenant")
    for row in rows.exclude(status=StripeMeter.Status.ARCHIVED):
        if row.stripe_meter_id in {meter.id for meter in gateway.meters()}:
            return row
        archive_meter(meter=row, actor=OPERATOR)
    return set_up_meter(connection=connection, actor=OPERATOR, terms=MeterTerms(currency=CURRENCY)).row


def _drop_forgotten(connection: StripeConnection, rows: QuerySet[CustomerMap]) -> None:
    gateway = gateway_of(connection)
    for row in rows.exclude(state=CustomerMap.State.UNMAPPED):
        try:
            gateway.customer(row.stripe_customer_id)
        except StripeFailed as error:
            if error.outcome is None or error.outcome.verdict != Verdict.MISSING:
                raise
            unmap_customer(mapping=row, actor=OPERATOR)
