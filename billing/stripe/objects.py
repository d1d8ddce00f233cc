"""Stripe's objects as far as we look at them, as values; amounts are whole minor units of the currency.

Each ``read_…`` takes the object as the library hands it out, a plain dictionary. Source: API version 2026-05-27.dahlia.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer of the Stripe account; of a deleted one only the id is left."""

    id: str
    name: str = ""
    email: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter: how it adds up, and which keys of an event's payload it reads."""

    id: str
    event_name: str
    display_name: str
    formula: str
    customer_key: str
    value_key: str
    time_window: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Product:
    """What an invoice's line is about."""

    id: str
    name: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Price:
    """A price; ``unit_amount_minor`` is exact and may be less than one."""

    id: str
    product_id: str
    currency: str
    unit_amount_minor: Decimal | None
    meter_id: str
    is_metered: bool
    is_active: bool
    is_plain: bool  # per unit, no tiers, nothing rounded on the way


@dataclass(frozen=True, slots=True)
class SubscriptionItem:
    """One price of a subscription, and its current period; the end is exclusive."""

    id: str
    price_id: str
    period_start: datetime
    period_end: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; ``ended_at`` is set once it is over."""

    id: str
    customer_id: str
    status: str
    currency: str
    items: tuple[SubscriptionItem, ...]
    cancels_at: datetime | None = None
    ended_at: datetime | None = None

    def item_of(self, price_id: str) -> SubscriptionItem | None:
        """The item on a price."""
        return next((item for item in self.items if item.price_id == price_id), None)


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line; ``quantity`` is exact."""

    id: str
    price_id: str
    subscription_item_id: str
    amount_minor: int
    quantity: Decimal
    period_start: datetime
    period_end: datetime


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice: draft, open, paid, void or uncollectible."""

    id: str
    customer_id: str
    subscription_id: str
    status: str
    currency: str
    total_minor: int
    amount_paid_minor: int
    billing_reason: str
    created: datetime
    period_start: datetime
    period_end: datetime
    finalizes_at: datetime | None
    finalized_at: datetime | None
    number: str
    url: str


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """A page to pay on."""

    id: str
    status: str
    payment_status: str
    customer_id: str
    currency: str
    total_minor: int
    payment_intent_id: str
    url: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment intent: money on its way to the account, or arrived."""

    id: str
    status: str
    received_minor: int
    currency: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back."""

    id: str
    status: str
    amount_minor: int
    currency: str
    charge_id: str
    payment_intent_id: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Dispute:
    """Money that a cardholder's bank takes back, for now or for good."""

    id: str
    status: str
    amount_minor: int
    currency: str
    charge_id: str
    payment_intent_id: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Stripe sends events; the secret is told when it is made, and never again."""

    id: str
    url: str
    is_enabled: bool
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SnapshotEvent:
    """An event of the v1 namespace, as far as it says what to look at again."""

    id: str
    kind: str
    is_live: bool
    object_id: str


@dataclass(frozen=True, slots=True)
class ThinEvent:
    """An event of the v2 namespace; ``data`` is what it tells where it tells anything."""

    id: str
    kind: str
    created: datetime
    is_live: bool
    related_id: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a meter has counted for a customer within a span; ``value`` is exact while it is whole."""

    start: datetime
    end: datetime
    value: Decimal

    @property
    def is_whole(self) -> bool:
        """Whether it is a number we could have sent: we send whole ones only."""
        return self.value == self.value.to_integral_value()


def read_buyer(told: Obj) -> Buyer:
    """Read a customer."""
    if told.get("deleted"):
        return Buyer(told["id"], is_deleted=True)
    return Buyer(
        told["id"], name=told.get("name") or "", email=told.get("email") or "",
        metadata=dict(told.get("metadata") or {}),
    )  # fmt: skip


def read_meter(told: Obj) -> Meter:
    """Read a meter."""
    return Meter(
        id=told["id"],
        event_name=told["event_name"],
        display_name=told["display_name"],
        formula=told["default_aggregation"]["formula"],
        customer_key=told["customer_mapping"]["event_payload_key"],
        value_key=told["value_settings"]["event_payload_key"],
        time_window=told.get("event_time_window") or "",
        is_active=told["status"] == "active",
    )


def read_product(told: Obj) -> Product:
    """Read a product."""
    return Product(told["id"], told.get("name") or "", bool(told.get("active")))


def read_price(told: Obj) -> Price:
    """Read a price."""
    recurring = told.get("recurring") or {}
    exact = told.get("unit_amount_decimal")
    return Price(
        id=told["id"],
        product_id=id_of(told.get("product")),
        currency=told["currency"],
        unit_amount_minor=Decimal(str(exact)) if exact is not None else None,
        meter_id=recurring.get("meter") or "",
        is_metered=recurring.get("usage_type") == "metered",
        is_active=bool(told.get("active")),
        is_plain=told.get("billing_scheme") == "per_unit" and not told.get("transform_quantity"),
    )


def read_item(told: Obj) -> SubscriptionItem:
    """Read an item of a subscription."""
    return SubscriptionItem(
        told["id"], id_of(told["price"]),
        instant(told["current_period_start"]), instant(told["current_period_end"]),
    )  # fmt: skip


def read_subscription(told: Obj) -> Subscription:
    """Read a subscription."""
    return Subscription(
        id=told["id"],
        customer_id=id_of(told["customer"]),
        status=told["status"],
        currency=told["currency"],
        items=tuple(read_item(each) for each in told["items"]["data"]),
        cancels_at=instant_or_none(told.get("cancel_at")),
        ended_at=instant_or_none(told.get("ended_at")),
    )


def id_of(told: Any) -> str:
    """The id of something that is told whole or by its id alone; empty for nothing."""
    if told is None:
        return ""
    return str(told if isinstance(told, str) else told["id"])


def instant(seconds: int) -> datetime:
    """An instant from the v1 namespace's seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def instant_or_none(seconds: int | None) -> datetime | None:
    """The same, for what may not have happened."""
    return None if seconds is None else instant(seconds)
