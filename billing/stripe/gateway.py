"""The one door to Stripe, and the only module that knows its library: small typed calls, answered in our own values.

What has a file of its own (``payments.py``, ``events.py``) goes through it as well, by ``told`` and ``listed``. A read
or a change that fails raises StripeFailed with its ``outcome``; a meter event never raises: its outcome is the answer.
The library's own retries are off: there is one layer that tries again, and it writes each attempt down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import stripe
from django.utils import timezone

from billing.errors import StripeFailed
from billing.stripe import objects, reading
from billing.stripe.outcomes import ACCEPTED, CLASHED, Outcome, Refusal, outcome_of

# The version whose description our stand-in is checked against; the library itself would ask for its own.
API_VERSION = "2026-05-27.dahlia"
STRIPE_HOST = "api.stripe.com"
TIMEOUT_S = 10.0
PAGE_MAX = 100
ROWS_MAX = 1000
TOLERANCE_S = 300
CUSTOMER_KEY, VALUE_KEY = "stripe_customer_id", "value"
DIGITS_MAX = 15
_HOSTS = ("api", "connect", "files", "meter_events")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

T = TypeVar("T")
Namespace = Literal["v1", "v2"]
Grouping = Literal["hour", "day"]

stripe.enable_telemetry = False
stripe.set_app_info("Farebox")


def is_loopback(base: str) -> bool:
    """Tell whether an address is this machine: a simulator."""
    return urlsplit(base).hostname in _LOOPBACK


def is_stripes_own(base: str) -> bool:
    """Tell whether an address is Stripe's."""
    parts = urlsplit(base)
    return parts.scheme == "https" and parts.hostname == STRIPE_HOST and parts.path in {"", "/"}


@cache
def _http_client() -> stripe.HTTPClient:
    # Sessions are kept per thread, so that a worker does not greet Stripe anew at every call.
    return stripe.RequestsClient(timeout=TIMEOUT_S)


class Gateway:
    """One Stripe account, opened with one key. ``base`` is Stripe's own address or a simulator's on loopback."""

    def __init__(self, secret: str, *, base: str, account: str = "", api_version: str = API_VERSION) -> None:
        if not (is_loopback(base) or is_stripes_own(base)):
            raise StripeFailed(f"{base!r} is neither Stripe's own address nor this machine's")
        addresses: Any = {"base_addresses": dict.fromkeys(_HOSTS, base)} if is_loopback(base) else {}
        self._client = stripe.StripeClient(
            secret,
            stripe_account=account or None,
            stripe_version=api_version,
            max_network_retries=0,
            http_client=_http_client(),
            **addresses,
        )
        self.v1 = self._client.v1
        self.v2 = self._client.v2

    def __repr__(self) -> str:
        return "Gateway(…)"

    # What is counted

    def send_meter_event(
        self,
        event_name: str,
        identifier: str,
        *,
        value: int,
        stripe_customer_id: str,
        at: datetime,
        namespace: Namespace = "v2",
    ) -> Outcome:
        """Send one event. In v2 the identifier is the idempotency key as well: a repeat is replayed for 30 days.

        In v1 each attempt has a key of its own: a kept key would replay a failure that Stripe saved.
        """
        if len(str(abs(value))) > DIGITS_MAX:
            return outcome_of(
                Refusal(status=400, code="meter_event_value_too_many_digits", message=str(value))
            )
        payload = {CUSTOMER_KEY: stripe_customer_id, VALUE_KEY: str(value)}
        params: Any = {"event_name": event_name, "identifier": identifier, "payload": payload}
        if namespace == "v1":
            params["timestamp"] = int(at.timestamp())
            return _delivered(lambda: self.v1.billing.meter_events.create(params))
        params["timestamp"] = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        options: Any = {"idempotency_key": identifier}
        return _delivered(lambda: self.v2.billing.meter_events.create(params, options))

    def cancel_meter_event(self, event_name: str, identifier: str) -> Outcome:
        """Cancel an event that Stripe received within the last day."""
        params: Any = {"type": "cancel", "event_name": event_name, "cancel": {"identifier": identifier}}
        return _delivered(lambda: self.v1.billing.meter_event_adjustments.create(params))

    def summaries(
        self,
        meter_id: str,
        stripe_customer_id: str,
        start: datetime,
        end: datetime,
        *,
        grouping: Grouping | None = None,
    ) -> list[objects.Summary]:
        """Read what was counted in [start, end), both on a minute, with a grouping on its hour or UTC day."""
        params: Any = {
            "customer": stripe_customer_id, "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()), "limit": PAGE_MAX,
        }  # fmt: skip
        if grouping is not None:
            params["value_grouping_window"] = grouping
        return listed(
            lambda: self.v1.billing.meters.event_summaries.list(meter_id, params), reading.read_summary
        )

    # The account and its catalog

    def probe(self, verb: Literal["get", "post"], path: str, **params: Any) -> Outcome:
        """Knock at an endpoint to learn whether the key may use it."""
        return _delivered(lambda: self._client.raw_request(verb, path, **params))

    def account_id(self) -> str:
        """Read the account's id; restricted keys may not always."""
        return told(self.v1.accounts.retrieve_current, lambda told: str(told["id"]))

    def meters(self, *, rows_max: int = ROWS_MAX) -> list[objects.Meter]:
        """List the account's meters."""
        return listed(lambda: self.v1.billing.meters.list(page_of(rows_max)), objects.read_meter, rows_max)

    def meter(self, meter_id: str) -> objects.Meter:
        """Read a meter."""
        return told(lambda: self.v1.billing.meters.retrieve(meter_id), objects.read_meter)

    def create_meter(self, event_name: str, display_name: str, *, key: str = "") -> objects.Meter:
        """Make a meter that sums whole values; ``key`` makes a repeat the same meter."""
        params: Any = {
            "event_name": event_name, "display_name": display_name,
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"type": "by_id", "event_payload_key": CUSTOMER_KEY},
            "value_settings": {"event_payload_key": VALUE_KEY},
        }  # fmt: skip
        return told(lambda: self.v1.billing.meters.create(params, once(key)), objects.read_meter)

    def reactivate_meter(self, meter_id: str) -> objects.Meter:
        """Have a meter take events again."""
        return told(lambda: self.v1.billing.meters.reactivate(meter_id), objects.read_meter)

    def create_product(self, name: str, *, metadata: Mapping[str, str], key: str = "") -> objects.Product:
        """Make a product."""
        params: Any = {"name": name, "metadata": dict(metadata)}
        return told(lambda: self.v1.products.create(params, once(key)), objects.read_product)

    def product(self, product_id: str) -> objects.Product:
        """Read a product."""
        return told(lambda: self.v1.products.retrieve(product_id), objects.read_product)

    def prices_of(self, meter_id: str, currency: str) -> list[objects.Price]:
        """List the active prices that bill a meter."""
        params: Any = {
            "active": True,
            "currency": currency,
            "recurring": {"meter": meter_id},
            "limit": PAGE_MAX,
        }
        return listed(lambda: self.v1.prices.list(params), objects.read_price)

    def price(self, price_id: str) -> objects.Price:
        """Read a price."""
        return told(lambda: self.v1.prices.retrieve(price_id), objects.read_price)

    def create_price(
        self, product_id: str, meter_id: str, *, currency: str, unit_amount_minor: str, key: str = ""
    ) -> objects.Price:
        """Make a monthly metered price; its amount is given in plain digits such as ``0.0001``."""
        recurring = {"interval": "month", "usage_type": "metered", "meter": meter_id}
        params: Any = {
            "product": product_id, "currency": currency, "unit_amount_decimal": unit_amount_minor,
            "billing_scheme": "per_unit", "recurring": recurring,
        }  # fmt: skip
        return told(lambda: self.v1.prices.create(params, once(key)), objects.read_price)

    # Customers and their subscriptions

    def customer(self, stripe_customer_id: str) -> objects.Buyer:
        """Read a customer, also one that was deleted."""
        return told(lambda: self.v1.customers.retrieve(stripe_customer_id), objects.read_buyer)

    def customers(self, *, email: str = "", rows_max: int = PAGE_MAX) -> list[objects.Buyer]:
        """List customers, newest first; with an e-mail address only those who have exactly it."""
        params: Any = page_of(rows_max) | ({"email": email} if email else {})
        return listed(lambda: self.v1.customers.list(params), objects.read_buyer, rows_max)

    def search_customers(self, query: str, *, rows_max: int = PAGE_MAX) -> list[objects.Buyer]:
        """Search in Stripe's own language; what is new is found about a minute late."""
        params: Any = {"query": query, "limit": min(rows_max, PAGE_MAX)}
        return listed(lambda: self.v1.customers.search(params), objects.read_buyer, rows_max)

    def create_customer(
        self, *, name: str, email: str, metadata: Mapping[str, str], key: str = ""
    ) -> objects.Buyer:
        """Make a customer; ``key`` makes a repeat the same customer."""
        given = {"name": name, "email": email}
        params: Any = {field: text for field, text in given.items() if text} | {"metadata": dict(metadata)}
        return told(lambda: self.v1.customers.create(params, once(key)), objects.read_buyer)

    def subscriptions_of(self, stripe_customer_id: str, *, ended: bool = False) -> list[objects.Subscription]:
        """List a customer's subscriptions, those that are over only when asked for."""
        params: Any = {"customer": stripe_customer_id, "limit": PAGE_MAX}
        if ended:
            params["status"] = "all"
        return listed(lambda: self.v1.subscriptions.list(params), objects.read_subscription)

    def subscription(self, subscription_id: str) -> objects.Subscription:
        """Read a subscription."""
        return told(lambda: self.v1.subscriptions.retrieve(subscription_id), objects.read_subscription)

    def create_subscription(
        self, stripe_customer_id: str, price_id: str, *, metadata: Mapping[str, str], key: str = ""
    ) -> objects.Subscription:
        """Subscribe a customer to a price; periods begin on the first of a month, at 00:00:00 UTC."""
        params: Any = {
            "customer": stripe_customer_id, "items": [{"price": price_id}], "metadata": dict(metadata),
            "billing_cycle_anchor_config": {"day_of_month": 1, "hour": 0, "minute": 0, "second": 0},
        }  # fmt: skip
        return told(lambda: self.v1.subscriptions.create(params, once(key)), objects.read_subscription)

    def add_item(self, subscription_id: str, price_id: str, *, key: str = "") -> objects.SubscriptionItem:
        """Add a price to a subscription, in force for its current period."""
        params: Any = {"subscription": subscription_id, "price": price_id}
        return told(lambda: self.v1.subscription_items.create(params, once(key)), objects.read_item)

    # Invoices

    def invoices(self, *, rows_max: int = PAGE_MAX, **narrowed: Any) -> list[objects.Invoice]:
        """List invoices, newest first, narrowed by ``customer``, ``subscription``, ``status`` or ``created``."""
        params: Any = page_of(rows_max) | narrowed
        return listed(lambda: self.v1.invoices.list(params), reading.read_invoice, rows_max)

    def invoice(self, invoice_id: str) -> objects.Invoice:
        """Read an invoice."""
        return told(lambda: self.v1.invoices.retrieve(invoice_id), reading.read_invoice)

    def invoice_lines(self, invoice_id: str) -> list[objects.InvoiceLine]:
        """List an invoice's lines."""
        lines = self.v1.invoices.line_items
        return listed(lambda: lines.list(invoice_id, {"limit": PAGE_MAX}), reading.read_line)

    def finalize_invoice_at(self, invoice_id: str, at: datetime) -> objects.Invoice:
        """Say when a draft is to become final."""
        params: Any = {"automatically_finalizes_at": int(at.timestamp())}
        return told(lambda: self.v1.invoices.update(invoice_id, params), reading.read_invoice)


def verified_event(raw: bytes, signature: str, secret: str) -> dict[str, Any] | None:
    """Read a webhook's body, snapshot or thin; None unless this secret signed it within five minutes of now."""
    # The library would take an empty secret, and a time to come.
    if not secret or _signed_s(signature) > timezone.now().timestamp() + TOLERANCE_S:
        return None
    try:
        stripe.WebhookSignature.verify_header(raw, signature, secret, TOLERANCE_S)
        event = json.loads(raw)
    except (stripe.SignatureVerificationError, ValueError):
        return None
    return event if isinstance(event, dict) else None


def _signed_s(signature: str) -> int:
    stamps = [part[2:] for part in signature.split(",") if part.startswith("t=")]
    return int(stamps[0]) if stamps and stamps[0].isdecimal() else 0


def _delivered(send: Callable[[], object]) -> Outcome:
    try:
        send()
    except stripe.StripeError as error:
        return outcome_of(_refusal(error))
    return ACCEPTED


def told(ask: Callable[[], Any], read: Callable[[objects.Obj], T]) -> T:
    """Ask, and read the answer. Raises: StripeFailed."""
    return _asked(lambda: read(ask().to_dict()))


def listed(ask: Callable[[], Any], read: Callable[[objects.Obj], T], rows_max: int = ROWS_MAX) -> list[T]:
    """Read a list to its end, over as many pages as it has, up to ``rows_max`` rows. Raises: StripeFailed."""
    return _asked(lambda: [read(row.to_dict()) for row in islice(ask().auto_paging_iter(), rows_max)])


def once(key: str) -> Any:
    """The library's option that makes a repeat the same request; none for an empty key."""
    return {"idempotency_key": key} if key else {}


def page_of(rows_max: int) -> Any:
    """The parameter for a first page that is no longer than needed."""
    return {"limit": min(rows_max, PAGE_MAX)}


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except stripe.StripeError as error:
        outcome = outcome_of(_refusal(error))
        said = outcome.detail if outcome.status else "Stripe could not be reached, or did not answer in time"
        raise StripeFailed(said or f"Stripe answered {outcome.status}", outcome) from error


def _refusal(error: stripe.StripeError) -> Refusal:
    body = error.json_body if isinstance(error.json_body, dict) else {}
    said = body.get("error")
    said = said if isinstance(said, dict) else {}
    return Refusal(
        status=error.http_status,
        kind=CLASHED if isinstance(error, stripe.IdempotencyError) else str(said.get("type") or ""),
        code=str(said.get("code") or error.code or ""),
        message=str(said.get("message") or error.user_message or error),
        headers=dict(error.headers or {}),
        request_id=error.request_id or "",
    )
