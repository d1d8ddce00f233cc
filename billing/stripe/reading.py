"""Reads what Stripe tells about money that moved, and about events, into ``objects``' values."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from billing.stripe.objects import (
    CheckoutSession,
    Dispute,
    Endpoint,
    Invoice,
    InvoiceLine,
    Obj,
    Payment,
    Refund,
    SnapshotEvent,
    Summary,
    ThinEvent,
    id_of,
    instant,
    instant_or_none,
)


def read_invoice(told: Obj) -> Invoice:
    """Read an invoice; its subscription stands under ``parent`` since 2025-03-31."""
    parent = (told.get("parent") or {}).get("subscription_details") or {}
    return Invoice(
        id=told["id"],
        customer_id=id_of(told.get("customer")),
        subscription_id=id_of(parent.get("subscription")),
        status=told.get("status") or "",
        currency=told["currency"],
        total_minor=told["total"],
        amount_paid_minor=told["amount_paid"],
        billing_reason=told.get("billing_reason") or "",
        created=instant(told["created"]),
        period_start=instant(told["period_start"]),
        period_end=instant(told["period_end"]),
        finalizes_at=instant_or_none(told.get("automatically_finalizes_at")),
        finalized_at=instant_or_none((told.get("status_transitions") or {}).get("finalized_at")),
        number=told.get("number") or "",
        url=told.get("hosted_invoice_url") or "",
    )


def read_line(told: Obj) -> InvoiceLine:
    """Read a line of an invoice."""
    pricing = (told.get("pricing") or {}).get("price_details") or {}
    item = (told.get("parent") or {}).get("subscription_item_details") or {}
    exact = told.get("quantity_decimal")
    return InvoiceLine(
        id=told["id"],
        price_id=id_of(pricing.get("price")),
        subscription_item_id=item.get("subscription_item") or "",
        amount_minor=told["amount"],
        quantity=Decimal(str(exact if exact is not None else told.get("quantity") or 0)),
        period_start=instant(told["period"]["start"]),
        period_end=instant(told["period"]["end"]),
    )


def read_session(told: Obj) -> CheckoutSession:
    """Read a checkout session."""
    return CheckoutSession(
        id=told["id"],
        status=told.get("status") or "",
        payment_status=told["payment_status"],
        customer_id=id_of(told.get("customer")),
        currency=told.get("currency") or "",
        total_minor=told.get("amount_total") or 0,
        payment_intent_id=id_of(told.get("payment_intent")),
        url=told.get("url") or "",
        metadata=dict(told.get("metadata") or {}),
    )


def read_payment(told: Obj) -> Payment:
    """Read a payment intent."""
    return Payment(
        id=told["id"],
        status=told["status"],
        received_minor=told.get("amount_received") or 0,
        currency=told["currency"],
        customer_id=id_of(told.get("customer")),
    )


def read_refund(told: Obj) -> Refund:
    """Read a refund."""
    return Refund(
        id=told["id"],
        status=told.get("status") or "",
        amount_minor=told["amount"],
        currency=told["currency"],
        charge_id=id_of(told.get("charge")),
        payment_intent_id=id_of(told.get("payment_intent")),
        created=instant(told["created"]),
    )


def read_dispute(told: Obj) -> Dispute:
    """Read a dispute."""
    return Dispute(
        id=told["id"],
        status=told["status"],
        amount_minor=told["amount"],
        currency=told["currency"],
        charge_id=id_of(told.get("charge")),
        payment_intent_id=id_of(told.get("payment_intent")),
        created=instant(told["created"]),
    )


def read_endpoint(told: Obj) -> Endpoint:
    """Read a webhook endpoint."""
    return Endpoint(told["id"], told["url"], told["status"] == "enabled", told.get("secret") or "")


def read_destination(told: Obj) -> Endpoint:
    """Read a destination of thin events."""
    web = told.get("webhook_endpoint") or {}
    return Endpoint(
        told["id"], web.get("url") or "", told["status"] == "enabled", web.get("signing_secret") or ""
    )


def read_snapshot(told: Obj) -> SnapshotEvent:
    """Read an event of the v1 namespace; of the object in it the name alone."""
    about = (told.get("data") or {}).get("object") or {}
    return SnapshotEvent(told["id"], told["type"], bool(told["livemode"]), str(about.get("id") or ""))


def read_thin(told: Obj) -> ThinEvent:
    """Read an event of the v2 namespace."""
    return ThinEvent(
        id=told["id"],
        kind=told["type"],
        created=datetime.fromisoformat(str(told["created"])),
        is_live=bool(told["livemode"]),
        related_id=id_of(told.get("related_object")),
        data=told.get("data") or {},
    )


def read_summary(told: Obj) -> Summary:
    """Read a sum. It comes as a JSON number; its shortest text is the number that was meant."""
    value = Decimal(str(told["aggregated_value"]))
    return Summary(instant(told["start_time"]), instant(told["end_time"]), value)
