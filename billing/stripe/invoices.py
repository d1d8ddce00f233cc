"""Invoices of billing periods: everything of a period is sealed, sent and proven before its draft becomes final.

``on_draft`` may be called again and again, by an event or a poll: it reads the invoice anew, sends what is left, and,
where the key may, asks for more time while something is unproven. ``on_finalized`` closes the period for the customer
and holds the invoice's lines against the pushes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from billing.errors import NotConnected, StripeFailed
from billing.models import CustomerMap, PeriodClose, PeriodInvoice, Push, StripeConnection, StripeMeter
from billing.pushing.dispatching import push_one, sendable
from billing.pushing.sealing import seal_customer
from billing.pushing.stamping import HOUR, hour_of
from billing.stripe.connecting import note_outcome
from billing.stripe.gateway import Gateway
from billing.stripe.keys import gateway_of
from billing.stripe.mapping import refresh_mapping
from billing.stripe.objects import Invoice, InvoiceLine
from billing.stripe.reconciling import BudgetSpent, CountedReads, Pair, reconcile_pair

log = logging.getLogger(__name__)

Drafted = Literal["not_ours", "final", "waiting", "extended", "released", "ready"]
Finalized = Literal["not_ours", "draft", "closed"]
HOLD_MAX = timedelta(hours=24)
# Between asking for an end and its coming: time for what is on its way.
RELEASE_IN = timedelta(minutes=10)
READS_PER_DRAFT_MAX = 100
EDGE_NEAR = timedelta(days=3)
INVOICE_WRITE = "rak_invoice_write"
_CYCLE = "subscription_cycle"
_FINAL = frozenset({"open", "paid", "uncollectible"})


@dataclass(frozen=True, slots=True)
class _Found:
    """An invoice of ours: whose, of which meter, and its lines of that meter's price."""

    invoice: Invoice
    mapped: CustomerMap
    meter: StripeMeter
    lines: tuple[InvoiceLine, ...]
    start: datetime
    end: datetime


def on_draft(connection: StripeConnection, invoice_id: str, *, now: datetime | None = None) -> Drafted:
    """Bring everything of a draft's period to Stripe and prove it; hold the draft as long as something is unproven.

    Raises: NotConnected; StripeFailed.
    """
    at = now or timezone.now()
    gateway = gateway_of(connection)
    found = _find(gateway, connection, gateway.invoice(invoice_id))
    if found is None:
        return "not_ours"
    if found.invoice.status != "draft":
        return "final"
    _send_period(found, at)
    unproven = _prove(gateway, found, at)
    row = _keep(connection, found, unproven=unproven, now=at)
    return _hold_or_release(gateway, connection, found.invoice, row, at)


def on_finalized(connection: StripeConnection, invoice_id: str, *, now: datetime | None = None) -> Finalized:
    """Close an invoice's period: later usage goes to the next one; its lines are kept and compared.

    Raises: NotConnected; StripeFailed.
    """
    at = now or timezone.now()
    gateway = gateway_of(connection)
    found = _find(gateway, connection, gateway.invoice(invoice_id))
    if found is None:
        return "not_ours"
    if found.invoice.status not in _FINAL:
        return "draft"
    customer = found.mapped.customer
    with transaction.atomic():
        closed, _ = PeriodClose.objects.select_for_update().get_or_create(
            customer=customer,
            defaults={"tenant": customer.tenant, "mode": customer.mode, "closed_until": found.end},
        )
        if closed.closed_until < found.end:
            closed.closed_until = found.end
            closed.save(update_fields=["closed_until"])
    row = _keep(connection, found, unproven=_open_pushes(found).count(), now=at)
    if row.quantity_units != row.pushed_units:
        log.error(
            "invoice.differs",
            extra={
                "customer_id": customer.pk, "invoice_id": invoice_id, "pushed_units": row.pushed_units,
                "invoiced_units": str(row.quantity_units),
            },
        )  # fmt: skip
    return "closed"


def poll_invoices(now: datetime) -> int:
    """Do for every connection near a period's edge what its events would ask for; returns how many were looked at."""
    looked = 0
    for connection in _connections_near_an_edge(now):
        try:
            looked += _poll(connection, now)
        except NotConnected:
            continue
        except StripeFailed as error:
            log.warning("invoice.poll_failed", extra={"connection_id": connection.pk, "why": str(error)})
            if error.outcome is not None:
                note_outcome(connection, error.outcome)
    return looked


def _poll(connection: StripeConnection, now: datetime) -> int:
    gateway = gateway_of(connection)
    since = {"gte": int((now - EDGE_NEAR).timestamp())}
    finals = set(
        PeriodInvoice.objects.filter(connection=connection).exclude(finalized_at=None).values_list(
            "invoice_id", flat=True
        )
    )  # fmt: skip
    listed = [each for each in gateway.invoices(rows_max=1000, created=since) if each.id not in finals]
    for invoice in listed:
        if invoice.billing_reason != _CYCLE:
            continue
        act: Callable[..., str] = on_draft if invoice.status == "draft" else on_finalized
        act(connection, invoice.id, now=now)
    return len(listed)


def _connections_near_an_edge(now: datetime) -> list[StripeConnection]:
    near = Q(period_end__range=(now - EDGE_NEAR, now)) | Q(period_start__range=(now - EDGE_NEAR, now))
    maps = CustomerMap.objects.filter(near, connection__status__in=["new", "ok"])
    drafts = PeriodInvoice.objects.filter(finalized_at=None, status="draft")
    ids = {*maps.values_list("connection_id", flat=True), *drafts.values_list("connection_id", flat=True)}
    return list(StripeConnection.objects.filter(pk__in=ids).select_related("tenant").order_by("pk"))


def _find(gateway: Gateway, connection: StripeConnection, invoice: Invoice) -> _Found | None:
    """Whose invoice it is; None for one-off ones, first ones, and customers who are nobody's here."""
    if invoice.billing_reason != _CYCLE:
        return None
    mapped = (
        CustomerMap.objects.filter(connection=connection, stripe_customer_id=invoice.customer_id)
        .select_related("customer__tenant", "connection__tenant")
        .first()
    )
    if mapped is None:
        return None
    meters = {meter.price_id: meter for meter in connection.meters.exclude(price_id="")}
    lines = tuple(each for each in gateway.invoice_lines(invoice.id) if each.price_id in meters)
    if not lines:
        return None
    meter = meters[lines[0].price_id]
    ours = tuple(each for each in lines if each.price_id == meter.price_id)
    start, end = min(each.period_start for each in ours), max(each.period_end for each in ours)
    return _Found(invoice, mapped, meter, ours, start, end)


def _send_period(found: _Found, now: datetime) -> None:
    """Seal what the period still has, before the mapping turns to the next one, and send what of it is due."""
    mapped = found.mapped
    seal_customer(mapped.customer, found.meter.line, now=max(now, found.end))
    if mapped.period_end is not None and mapped.period_end <= found.end:
        refresh_mapping(mapped)
    due = sendable().filter(customer=mapped.customer, target_id=found.meter.pk, stamp_at__lt=found.end)
    for push_id in list(due.values_list("pk", flat=True)):
        push_one(push_id)


def _prove(gateway: Gateway, found: _Found, now: datetime) -> int:
    """Compare the period's hours that are unproven; returns how many pushes of it are still open."""
    waiting = _open_pushes(found).exclude(first_attempt_at=None).order_by("stamp_at").first()
    since = waiting.stamp_at if waiting is not None else found.end - HOUR
    reads = CountedReads(gateway, reads_max=READS_PER_DRAFT_MAX)
    pair = Pair(found.mapped.customer, found.meter, since)
    try:
        reconcile_pair(
            reads, pair, until=max(hour_of(found.end - timedelta(seconds=1)) + HOUR, since), now=now
        )
    except BudgetSpent:
        log.warning("invoice.reads_spent", extra={"invoice_id": found.invoice.id})
    return _open_pushes(found).count()


def _open_pushes(found: _Found) -> QuerySet[Push]:
    """Pushes of the period that may still reach its invoice; held ones wait for a person and hold nothing up."""
    return _period_pushes(found).exclude(
        state__in=[Push.State.CONFIRMED, Push.State.VOID, Push.State.HELD, Push.State.FAILED]
    )


def _period_pushes(found: _Found) -> QuerySet[Push]:
    return Push.objects.filter(
        customer=found.mapped.customer,
        target_id=found.meter.pk,
        stamp_at__gte=found.start,
        stamp_at__lt=found.end,
    )


def _hold_or_release(
    gateway: Gateway, connection: StripeConnection, invoice: Invoice, row: PeriodInvoice, now: datetime
) -> Drafted:
    if INVOICE_WRITE in connection.scopes_missing:
        return "waiting" if row.unproven_pushes else "ready"
    if row.unproven_pushes:
        end = invoice.created + HOLD_MAX
        if invoice.finalizes_at is None or invoice.finalizes_at >= end or end <= now:
            return "waiting"
        gateway.finalize_invoice_at(invoice.id, end)
        row.due_before = row.due_before or invoice.finalizes_at
        row.save(update_fields=["due_before"])
        return "extended"
    if row.due_before is None:
        return "ready"
    gateway.finalize_invoice_at(invoice.id, max(row.due_before, now + RELEASE_IN))
    row.due_before = None
    row.save(update_fields=["due_before"])
    return "released"


def _keep(connection: StripeConnection, found: _Found, *, unproven: int, now: datetime) -> PeriodInvoice:
    taken = _period_pushes(found).filter(state__in=[Push.State.ACCEPTED, Push.State.CONFIRMED])
    invoice = found.invoice
    values = {
        "status": invoice.status, "currency": invoice.currency, "period_start": found.start, "period_end": found.end,
        "finalized_at": invoice.finalized_at if invoice.status in _FINAL else None,
        "quantity_units": sum((each.quantity for each in found.lines), Decimal(0)),
        "amount_minor": sum(each.amount_minor for each in found.lines),
        "pushed_units": int(taken.aggregate(units=Sum("value_units"))["units"] or 0),
        "unproven_pushes": unproven, "checked_at": now,
        "lines": [
            {"id": each.id, "price": each.price_id, "quantity": str(each.quantity), "amount_minor": each.amount_minor}
            for each in found.lines
        ],
    }  # fmt: skip
    customer = found.mapped.customer
    row, _ = PeriodInvoice.objects.update_or_create(
        connection=connection,
        invoice_id=invoice.id,
        defaults={
            "tenant": customer.tenant, "mode": customer.mode, "customer": customer, "meter": found.meter, **values,
        },
    )  # fmt: skip
    return row
