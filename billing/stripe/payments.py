"""Money that moves by itself rather than by an invoice: checkout sessions, refunds, disputes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from billing.stripe import objects, reading
from billing.stripe.gateway import PAGE_MAX, Gateway, listed, once, page_of, told


def create_checkout(gateway: Gateway, params: Mapping[str, Any], *, key: str) -> objects.CheckoutSession:
    """Open a page to pay on; the parameters are Stripe's own, ``key`` makes a repeat the same page."""
    given: Any = dict(params)
    return told(lambda: gateway.v1.checkout.sessions.create(given, once(key)), reading.read_session)


def checkout(gateway: Gateway, session_id: str) -> objects.CheckoutSession:
    """Read a checkout session."""
    return told(lambda: gateway.v1.checkout.sessions.retrieve(session_id), reading.read_session)


def checkouts(
    gateway: Gateway, *, rows_max: int = PAGE_MAX, **narrowed: Any
) -> list[objects.CheckoutSession]:
    """List checkout sessions, narrowed by ``customer``, ``payment_intent`` or ``status``."""
    params: Any = page_of(rows_max) | narrowed
    return listed(lambda: gateway.v1.checkout.sessions.list(params), reading.read_session, rows_max)


def payment(gateway: Gateway, payment_intent_id: str) -> objects.Payment:
    """Read a payment intent."""
    return told(lambda: gateway.v1.payment_intents.retrieve(payment_intent_id), reading.read_payment)


def refunds(gateway: Gateway, *, rows_max: int = PAGE_MAX, **narrowed: Any) -> list[objects.Refund]:
    """List refunds, narrowed by ``charge``, ``payment_intent`` or ``created``."""
    params: Any = page_of(rows_max) | narrowed
    return listed(lambda: gateway.v1.refunds.list(params), reading.read_refund, rows_max)


def refund(gateway: Gateway, refund_id: str) -> objects.Refund:
    """Read a refund."""
    return told(lambda: gateway.v1.refunds.retrieve(refund_id), reading.read_refund)


def disputes(gateway: Gateway, *, rows_max: int = PAGE_MAX, **narrowed: Any) -> list[objects.Dispute]:
    """List disputes, narrowed by ``charge``, ``payment_intent`` or ``created``."""
    params: Any = page_of(rows_max) | narrowed
    return listed(lambda: gateway.v1.disputes.list(params), reading.read_dispute, rows_max)


def dispute(gateway: Gateway, dispute_id: str) -> objects.Dispute:
    """Read a dispute."""
    return told(lambda: gateway.v1.disputes.retrieve(dispute_id), reading.read_dispute)
