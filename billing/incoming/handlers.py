"""What follows from which event, as a table. Each handler looks again at what the event is about, and trusts that."""

from __future__ import annotations

from collections.abc import Callable

from billing.dunning.watching import watch_customer, watch_dispute
from billing.errors import StripeFailed
from billing.incoming.reports import take_report
from billing.models import CustomerMap, StripeConnection, StripeEvent, TopUp
from billing.prepaid.crediting import sync_top_up
from billing.stripe import payments
from billing.stripe.gateway import Gateway
from billing.stripe.invoices import on_draft, on_finalized
from billing.stripe.keys import gateway_of
from billing.stripe.mapping import refresh_mapping
from billing.stripe.outcomes import Verdict

Handler = Callable[[StripeEvent], bool]


def handle(event: StripeEvent) -> bool:
    """Do what follows from an event; returns whether anything does. Raises: StripeFailed; Busy."""
    # A thin event about an object of the v1 namespace says what the snapshot of the same name says.
    handler = HANDLERS.get(event.kind) or HANDLERS.get(event.kind.removeprefix("v1."))
    return handler(event) if handler is not None else False


def look_at_customer(connection: StripeConnection, stripe_customer_id: str) -> bool:
    """Read a customer's mapping and subscriptions again, whoever it is here."""
    rows = CustomerMap.objects.filter(connection=connection, stripe_customer_id=stripe_customer_id)
    mapping = rows.exclude(stripe_customer_id="").select_related("connection__tenant", "customer").first()
    if mapping is None:
        return False
    refresh_mapping(mapping)
    watch_customer(mapping)
    return True


def _customer(event: StripeEvent) -> bool:
    return look_at_customer(event.connection, event.object_id)


def _subscription(event: StripeEvent) -> bool:
    found = _gateway(event).subscription(event.object_id)
    return look_at_customer(event.connection, found.customer_id)


def _invoice(event: StripeEvent) -> bool:
    found = _gateway(event).invoice(event.object_id)
    # What it is now decides, not which event told of it.
    (on_draft if found.status == "draft" else on_finalized)(event.connection, found.id)
    return look_at_customer(event.connection, found.customer_id)


def _session(event: StripeEvent) -> bool:
    top_up = TopUp.objects.filter(connection=event.connection, session_id=event.object_id).first()
    if top_up is None:
        return False  # a page of the tenant's own
    sync_top_up(top_up)
    return True


def _refunded_charge(event: StripeEvent) -> bool:
    found = payments.refunds(_gateway(event), charge=event.object_id)
    return _payment(event, found[0].payment_intent_id) if found else False


def _refund(event: StripeEvent) -> bool:
    return _payment(event, payments.refund(_gateway(event), event.object_id).payment_intent_id)


def _dispute(event: StripeEvent) -> bool:
    dispute = payments.dispute(_gateway(event), event.object_id)
    is_credit = _payment(event, dispute.payment_intent_id)
    is_watched = watch_dispute(event.connection, dispute.id)
    return is_credit or is_watched


def _payment(event: StripeEvent, payment_intent_id: str) -> bool:
    """Look again at the credit that a payment brought."""
    if not payment_intent_id:
        return False
    rows = TopUp.objects.filter(connection=event.connection)
    top_up = rows.filter(payment_intent_id=payment_intent_id).first() or _by_session(event, payment_intent_id)
    if top_up is None:
        return False
    sync_top_up(top_up)
    return True


def _by_session(event: StripeEvent, payment_intent_id: str) -> TopUp | None:
    """A refund may be told before the payment was: then only the session at Stripe knows whose it is."""
    try:
        found = payments.checkouts(_gateway(event), payment_intent=payment_intent_id, rows_max=1)
    except StripeFailed as error:
        if error.outcome is not None and error.outcome.verdict == Verdict.MISSING:
            return None
        raise
    names = [session.id for session in found]
    return TopUp.objects.filter(connection=event.connection, session_id__in=names).first()


def _gateway(event: StripeEvent) -> Gateway:
    return gateway_of(event.connection)


HANDLERS: dict[str, Handler] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer,
    "customer.subscription.created": _subscription,
    "customer.subscription.updated": _subscription,
    "customer.subscription.deleted": _subscription,
    "invoice.created": _invoice,
    "invoice.finalized": _invoice,
    "invoice.paid": _invoice,
    "invoice.payment_failed": _invoice,
    "invoice.voided": _invoice,
    "invoice.marked_uncollectible": _invoice,
    "checkout.session.completed": _session,
    "checkout.session.expired": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _session,
    "charge.refunded": _refunded_charge,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "charge.dispute.closed": _dispute,
    "v1.billing.meter.error_report_triggered": take_report,
    "v1.billing.meter.no_meter_found": take_report,
}
