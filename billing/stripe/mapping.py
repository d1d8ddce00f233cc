"""Who a customer is at Stripe: said by a person, the API or a file, or found by what Stripe's customer carries.

Stripe is asked outside transactions, and what it says now is what is written: a mapping is refreshed by reading again,
never by trusting what an event tells. A customer without a mapping is unmapped: its usage waits in the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from billing.errors import StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.stripe.connecting import note_outcome
from billing.stripe.gateway import Gateway
from billing.stripe.keys import gateway_of
from billing.stripe.objects import Buyer, Subscription, SubscriptionItem
from billing.stripe.outcomes import Verdict
from tenants.actions.recording import SYSTEM, Actor, Change, Trail, shown
from tenants.errors import AlreadyExists, InvalidInput
from tenants.models import Customer

EXTERNAL_ID = "farebox_external_id"
SHOWN = ("customer_id", "stripe_customer_id", "subscription_id", "subscription_item_id", "currency", "state")
STALE_AFTER = timedelta(hours=6)
REFRESHED_AT_ONCE_MAX = 25
FOUND_MAX = 20
PART_CHARS_MIN = 3
MATCHED_MAX = 10_000
_STATE = CustomerMap.State
# A subscription that is over, or never began, invoices nothing more.
_OVER = frozenset({"canceled", "incomplete_expired"})


def unmapped_customers(connection: StripeConnection) -> QuerySet[Customer]:
    """The customers of a connection's scope who have no counterpart at Stripe, oldest first: their usage waits."""
    rows = Customer.objects.for_scope(connection.tenant, connection.mode)
    return rows.filter(Q(stripe_map=None) | Q(stripe_map__state=_STATE.UNMAPPED)).order_by("created_at", "id")


def find_buyers(connection: StripeConnection, text: str) -> list[Buyer]:
    """Search the account's customers by id, e-mail address, name or ``farebox_external_id``. Raises: StripeFailed."""
    gateway, wanted = gateway_of(connection), text.strip()
    if wanted.startswith("cus_") and wanted.isascii():
        found = _buyer_or_none(gateway, wanted)
        return [found] if found is not None else []
    if "@" in wanted:
        return gateway.customers(email=wanted, rows_max=FOUND_MAX)
    if not wanted:
        return gateway.customers(rows_max=FOUND_MAX)
    quoted = _quoted(wanted)
    return gateway.search_customers(
        f"name~{quoted} OR metadata['{EXTERNAL_ID}']:{quoted}", rows_max=FOUND_MAX
    )


def map_customer(
    *, connection: StripeConnection, customer: Customer, actor: Actor, stripe_customer_id: str
) -> Change[CustomerMap]:
    """Say who a customer is at Stripe; whoever it was before, it is no more.

    Raises: InvalidInput when Stripe has no such customer; AlreadyExists when it is another customer's; StripeFailed.
    """
    wanted = stripe_customer_id.strip()
    gateway = gateway_of(connection)
    buyer = _buyer_or_none(gateway, wanted) if wanted.isascii() and wanted.startswith("cus_") else None
    if buyer is None or buyer.is_deleted:
        raise InvalidInput(
            "stripe_customer_id", f"{wanted[:64]!r} is no customer of the connected Stripe account"
        )
    return _keep(connection, customer, actor, buyer, _billable(gateway, connection, buyer.id))


def create_buyer(
    *, connection: StripeConnection, customer: Customer, actor: Actor, email: str = ""
) -> Change[CustomerMap]:
    """Make the customer's counterpart at Stripe, carrying our names for it. Raises: AlreadyExists; StripeFailed."""
    known = CustomerMap.objects.filter(customer=customer).first()
    if known is not None and known.state != _STATE.UNMAPPED:
        raise AlreadyExists(f"{customer.external_id} is {known.stripe_customer_id} at Stripe already")
    metadata = {EXTERNAL_ID: customer.external_id, "farebox_customer": customer.pk}
    # Two people at once make one customer there: the same words under the same key.
    words = "|".join((connection.pk, customer.pk, customer.name, email, str(customer.updated_at)))
    buyer = gateway_of(connection).create_customer(
        name=customer.name or customer.external_id, email=email, metadata=metadata,
        key=f"farebox-customer-{hashlib.sha256(words.encode()).hexdigest()[:32]}",
    )  # fmt: skip
    return _keep(connection, customer, actor, buyer, ())


@transaction.atomic
def unmap_customer(*, mapping: CustomerMap, actor: Actor) -> Change[CustomerMap]:
    """Take a mapping away; the customer's usage waits from now on."""
    row = CustomerMap.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=mapping.pk)
    before = shown(row, *SHOWN)
    row.state, row.stripe_customer_id = _STATE.UNMAPPED, ""
    _take_item(row, None, None)
    row.save()
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("customer_map.remove", row, before=before, after=shown(row, *SHOWN))
    return trail.done(row)


def refresh_mapping(mapping: CustomerMap) -> CustomerMap:
    """Read a mapped customer and its subscriptions again, and write what Stripe says. Raises: StripeFailed."""
    if mapping.state == _STATE.UNMAPPED:
        return mapping
    gateway = gateway_of(mapping.connection)
    buyer = _buyer_or_none(gateway, mapping.stripe_customer_id) or Buyer(
        mapping.stripe_customer_id, is_deleted=True
    )
    subscriptions = () if buyer.is_deleted else _billable(gateway, mapping.connection, buyer.id)
    with transaction.atomic():
        row = CustomerMap.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=mapping.pk)
        if row.stripe_customer_id != mapping.stripe_customer_id:
            return row  # mapped elsewhere while Stripe was asked
        before = shown(row, *SHOWN)
        _settle(row, buyer, subscriptions)
        row.save()
        if before != shown(row, *SHOWN):
            trail = Trail(row.tenant, row.mode, SYSTEM)
            trail.audit("customer_map.refresh", row, before=before, after=shown(row, *SHOWN))
    return row


def refresh_stalest(*, rows_max: int = REFRESHED_AT_ONCE_MAX) -> int:
    """Refresh mappings that were not read for hours, or whose period is over; returns how many were read."""
    now = timezone.now()
    due = CustomerMap.objects.filter(connection__status=StripeConnection.Status.OK).exclude(
        state__in=[_STATE.UNMAPPED, _STATE.DELETED]
    )
    stale = Q(checked_at=None) | Q(checked_at__lt=now - STALE_AFTER)
    # A period that ended is followed by the next one; asked again every few minutes until Stripe says so.
    over = Q(period_end__lt=now, checked_at__lt=now - timedelta(minutes=5), state=_STATE.MAPPED)
    rows = due.filter(stale | over).select_related("connection__tenant")
    read = 0
    for mapping in rows.order_by(F("checked_at").asc(nulls_first=True))[:rows_max]:
        try:
            refresh_mapping(mapping)
        except StripeFailed as error:
            if error.outcome is not None and note_outcome(mapping.connection, error.outcome):
                continue
            # The next ones may fare better; this one is asked again when its turn comes.
            CustomerMap.objects.filter(pk=mapping.pk).update(checked_at=now)
        read += 1
    return read


def match_by_metadata(*, connection: StripeConnection, actor: Actor) -> list[CustomerMap]:
    """Map every unmapped customer whose external id a customer at Stripe carries as ``farebox_external_id``.

    An id that several customers at Stripe carry is left to a person. Raises: StripeFailed.
    """
    waiting = {customer.external_id: customer for customer in unmapped_customers(connection)}
    gateway = gateway_of(connection)
    carriers: dict[str, list[Buyer]] = {}
    for buyer in gateway.customers(rows_max=MATCHED_MAX) if waiting else []:
        carriers.setdefault(buyer.metadata.get(EXTERNAL_ID, ""), []).append(buyer)
    made = []
    for external_id, customer in waiting.items():
        if len(carriers.get(external_id, [])) == 1:
            [buyer] = carriers[external_id]
            made += _kept_if_free(connection, customer, actor, buyer, gateway)
    return made


def _kept_if_free(
    connection: StripeConnection, customer: Customer, actor: Actor, buyer: Buyer, gateway: Gateway
) -> list[CustomerMap]:
    try:
        return [_keep(connection, customer, actor, buyer, _billable(gateway, connection, buyer.id)).row]
    except AlreadyExists:
        return []  # a person said that it is somebody else


def _keep(
    connection: StripeConnection,
    customer: Customer,
    actor: Actor,
    buyer: Buyer,
    subscriptions: Sequence[Subscription],
) -> Change[CustomerMap]:
    try:
        with transaction.atomic():
            row, created = CustomerMap.objects.select_for_update(of=("self",)).get_or_create(
                customer=customer,
                defaults={"tenant": connection.tenant, "mode": connection.mode, "connection": connection},
            )
            before = None if created else shown(row, *SHOWN)
            if row.stripe_customer_id != buyer.id:
                _take_item(row, None, None)
            row.connection, row.stripe_customer_id = connection, buyer.id
            _settle(row, buyer, subscriptions)
            row.save()
            trail = Trail(connection.tenant, connection.mode, actor)
            trail.audit("customer_map.set", row, before=before, after=shown(row, *SHOWN))
            return trail.done(row, created=created)
    except IntegrityError as error:
        raise AlreadyExists(
            f"{buyer.id} is another customer's at Stripe; one cannot stand for two"
        ) from error


def _settle(row: CustomerMap, buyer: Buyer, subscriptions: Sequence[Subscription]) -> None:
    """Write into a row what Stripe says of its customer."""
    row.checked_at = timezone.now()
    if buyer.is_deleted:
        row.state = _STATE.DELETED
        return
    meters = {
        meter.price_id: meter
        for meter in StripeMeter.objects.filter(connection=row.connection).exclude(price_id="")
        if meter.status != StripeMeter.Status.ARCHIVED
    }
    items = [(each, item) for each in subscriptions for item in each.items if item.price_id in meters]
    # The currency that is billed already comes first: one customer is billed in one.
    items.sort(
        key=lambda pair: (meters[pair[1].price_id].currency != row.currency, pair[0].status != "active")
    )
    if items:
        subscription, item = items[0]
        row.state, row.currency = _STATE.MAPPED, meters[item.price_id].currency
        _take_item(row, subscription, item)
        return
    row.state = _STATE.NO_SUBSCRIPTION
    if row.subscription_id and row.subscription_id not in {each.id for each in subscriptions}:
        # The period that was open when it ended may still get its last usage: what was known of it stays.
        row.subscription_status = "canceled"
    elif not row.subscription_id and len(meters) == 1:
        row.currency = next(iter(meters.values())).currency


def _take_item(row: CustomerMap, subscription: Subscription | None, item: SubscriptionItem | None) -> None:
    row.subscription_id = subscription.id if subscription else ""
    row.subscription_status = subscription.status if subscription else ""
    row.subscription_item_id = item.id if item else ""
    row.period_start = item.period_start if item else None
    row.period_end = item.period_end if item else None


def _billable(
    gateway: Gateway, connection: StripeConnection, stripe_customer_id: str
) -> tuple[Subscription, ...]:
    found = gateway.subscriptions_of(stripe_customer_id)
    return tuple(each for each in found if each.status not in _OVER)


def _buyer_or_none(gateway: Gateway, stripe_customer_id: str) -> Buyer | None:
    try:
        return gateway.customer(stripe_customer_id)
    except StripeFailed as error:
        if error.outcome is not None and error.outcome.verdict == Verdict.MISSING:
            return None
        raise


def _quoted(text: str) -> str:
    """A text as Stripe's search language takes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
