"""What a restricted key must be allowed, what it may be allowed, and how to find out without touching anything.

A read is knocked at with a list of one row. A write is knocked at with nothing in it, or at an object that is not
there: Stripe looks at the permission first, then refuses. Source: Stripe's page on restricted keys, and the names in
its refusals (``rak_…``), November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from billing.errors import StripeFailed
from billing.stripe.gateway import Gateway
from billing.stripe.outcomes import Outcome, Verdict

_NOTHING = "farebox_probe"
_REPORT = "v1.billing.meter.error_report_triggered"


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission: Stripe's name for it, the Dashboard's, what it is for, and where to knock."""

    name: str
    title: str
    purpose: str
    knock: str

    @property
    def verb(self) -> Literal["get", "post"]:
        """Writes are knocked at with a POST."""
        return "post" if self.name.endswith("_write") else "get"

    @property
    def params(self) -> dict[str, Any]:
        """One row of a list; nothing for a write."""
        if self.verb == "post":
            return {}
        return {"limit": 1, "types": [_REPORT]} if self.knock.startswith("/v2/") else {"limit": 1}


NEEDED = (
    Scope("rak_billing_meter_event_write", "Meter events: Write", "send usage", "/v1/billing/meter_events"),
    Scope("rak_billing_meter_read", "Meters: Read", "compare what Stripe counted", "/v1/billing/meters"),
    Scope("rak_customer_read", "Customers: Read", "find customers", "/v1/customers"),
    Scope("rak_subscription_read", "Subscriptions: Read", "know billing periods", "/v1/subscriptions"),
    Scope("rak_invoice_read", "Invoices: Read", "close periods with Stripe", "/v1/invoices"),
    Scope("rak_event_read", "Events: Read", "hear of refused usage", "/v2/core/events"),
)
USEFUL = (
    Scope("rak_billing_meter_write", "Meters: Write", "make the meter", "/v1/billing/meters"),
    Scope("rak_product_write", "Products: Write", "make the product", "/v1/products"),
    Scope("rak_plan_write", "Prices: Write", "make the price", "/v1/prices"),
    Scope("rak_customer_write", "Customers: Write", "make customers at Stripe", f"/v1/customers/{_NOTHING}"),
    Scope("rak_subscription_write", "Subscriptions: Write", "invoice a customer", "/v1/subscriptions"),
    Scope("rak_invoice_write", "Invoices: Write", "hold a draft", f"/v1/invoices/{_NOTHING}"),
    Scope("rak_webhook_write", "Webhook endpoints: Write", "register for events", "/v1/webhook_endpoints"),
    Scope("rak_checkout_session_write", "Checkout Sessions: Write", "sell credit", "/v1/checkout/sessions"),
    Scope("rak_payment_intent_read", "PaymentIntents: Read", "see credit paid", "/v1/payment_intents"),
    Scope("rak_charge_read", "Charges and Refunds: Read", "take refunded credit back", "/v1/refunds"),
    Scope("rak_dispute_read", "Disputes: Read", "take disputed credit back", "/v1/disputes"),
)
# Without all of these no credit is sold: it could not be given, or not be taken back.
CREDIT = frozenset(
    {"rak_checkout_session_write", "rak_payment_intent_read", "rak_charge_read", "rak_dispute_read"}
)
SCOPES = NEEDED + USEFUL
REQUIRED = frozenset(scope.name for scope in NEEDED)
BY_NAME = {scope.name: scope for scope in SCOPES}


@dataclass(frozen=True, slots=True)
class Found:
    """What knocking found out. ``rejected`` is set when Stripe takes the key nowhere."""

    missing: tuple[str, ...] = ()
    rejected: Outcome | None = None

    @property
    def missing_required(self) -> tuple[str, ...]:
        """What must be there and is not."""
        return tuple(name for name in self.missing if name in REQUIRED)


def find_scopes(gateway: Gateway) -> Found:
    """Knock at everything, in order.

    Raises: StripeFailed when Stripe does not answer well enough to tell.
    """
    missing: list[str] = []
    for scope in SCOPES:
        outcome = gateway.probe(scope.verb, scope.knock, **scope.params)
        match outcome.verdict:
            case Verdict.AUTH:
                return Found(rejected=outcome)
            case Verdict.PERMISSION:
                missing.append(scope.name)
            case Verdict.RETRY | Verdict.AMBIGUOUS:
                raise StripeFailed(
                    f"Stripe did not say whether the key may {scope.purpose}; try again", outcome
                )
            case _:
                pass  # it may: there was nothing there, or too little in the request
    return Found(tuple(missing))


def described(name: str) -> str:
    """A permission as its owner finds it in Stripe's Dashboard."""
    scope = BY_NAME.get(name)
    return f"{name} ({scope.title})" if scope else name
