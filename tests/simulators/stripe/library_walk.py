"""What the official library does against the simulator; run by a Python that has it: `library_walk.py ADDRESS`."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import stripe

BASE = sys.argv[1]
START = 1_767_225_600


def client(key: str = "sk_test_sim", **more: Any) -> Any:
    """Make a client whose every address is the simulator's."""
    addresses = dict.fromkeys(("api", "connect", "files", "meter_events"), BASE)
    return stripe.StripeClient(key, base_addresses=addresses, max_network_retries=0, **more)


def error_of(call: Any) -> Any:
    """Return what a call raises."""
    try:
        call()
    except stripe.StripeError as error:
        return error
    raise AssertionError("the call went well")


def event(customer: str, value: str, **more: Any) -> dict[str, Any]:
    """Write a meter event."""
    return {"event_name": "spend", "payload": {"stripe_customer_id": customer, "value": value}} | more


def walk_billing(api: Any) -> dict[str, Any]:
    """Go from meter to a line of an invoice."""
    meter = api.v1.billing.meters.create({
        "display_name": "Spend", "event_name": "spend", "default_aggregation": {"formula": "sum"},
        "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
        "value_settings": {"event_payload_key": "value"},
    })  # fmt: skip
    customer = api.v1.customers.create({"name": "Acme", "metadata": {"external_id": "acme"}})
    product = api.v1.products.create({"name": "Usage"})
    price = api.v1.prices.create({
        "currency": "usd", "product": product.id, "unit_amount_decimal": "0.0000001",
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
    })  # fmt: skip
    bad = error_of(lambda: api.v1.prices.create({
        "currency": "usd", "product": product.id, "unit_amount_decimal": Decimal("0.0000001"),
    }))  # fmt: skip
    subscription = api.v1.subscriptions.create({
        "customer": customer.id, "items": [{"price": price.id}],
        "billing_cycle_anchor_config": {"day_of_month": 1, "hour": 0, "minute": 0, "second": 0},
        "expand": ["latest_invoice"],
    })  # fmt: skip
    api.v1.billing.meter_events.create(event(customer.id, "15000000", timestamp=START))
    preview = api.v1.invoices.create_preview({"subscription": subscription.id})
    rows = api.v1.billing.meters.event_summaries.list(
        meter.id, {"customer": customer.id, "start_time": START, "end_time": START + 60}
    )
    found = api.v1.customers.search({"query": "metadata['external_id']:'acme'"})
    return {
        "customer": customer.id, "meter": meter.id, "preview": preview.total, "decimal": str(bad.user_message),
        "summary": rows.data[0].aggregated_value, "line": str(preview.lines.data[0].quantity_decimal),
        "searched": [each.id for each in found.data], "unit": str(price.unit_amount_decimal),
        "paged": len(list(api.v1.customers.list({"limit": 1}).auto_paging_iter())),
        "period": subscription["items"].data[0].current_period_end,
    }  # fmt: skip


def walk_events(api: Any, customer: str) -> dict[str, Any]:
    """Send events in both namespaces, twice."""
    api.v1.billing.meter_events.create(event(customer, "1", identifier="one"))
    v1 = error_of(lambda: api.v1.billing.meter_events.create(event(customer, "1", identifier="one")))
    once = {"idempotency_key": "two"}
    sent = event(customer, "1", identifier="two")
    replayed = [api.v2.billing.meter_events.create(sent, once).identifier for _ in range(2)]
    v2 = error_of(lambda: api.v2.billing.meter_events.create(sent, {"idempotency_key": "new"}))
    other = error_of(lambda: api.v2.billing.meter_events.create(event(customer, "2", identifier="two"), once))
    session = api.v2.billing.meter_event_session.create()
    stream = client(session.authentication_token)
    stream.v2.billing.meter_event_stream.create({"events": [event(customer, "1", identifier="three")]})
    api.v2.billing.meter_events.create(event("cus_gone", "1", identifier="four"))
    kinds = {"types": ["v1.billing.meter.error_report_triggered"]}
    (thin,) = api.v2.core.events.list(kinds).data
    report = api.v2.core.events.retrieve(thin.id)
    return {
        "v1": [type(v1).__name__, v1.user_message, v1.code], "v2": [type(v2).__name__, v2.code],
        "replayed": replayed, "other": type(other).__name__, "report": type(report).__name__,
        "samples": report.data.reason.error_types[0].sample_errors[0].request.identifier is not None,
    }  # fmt: skip


def walk_errors(api: Any) -> dict[str, Any]:
    """Meet the errors that the library has a class for."""
    refused = error_of(lambda: client("sk_test_unknown").v1.customers.list())
    scoped = error_of(lambda: client("rk_test_walk").v1.customers.create({"name": "x"}))
    missing = error_of(lambda: api.v1.customers.retrieve("cus_none"))
    unknown = error_of(lambda: api.v1.customers.create({"colour": "red"}))
    return {
        "refused": type(refused).__name__, "scoped": type(scoped).__name__,
        "missing": missing.code, "unknown": unknown.param,
    }  # fmt: skip


def walk_checkout(api: Any, customer: str) -> dict[str, Any]:
    """Open a session and grant credit."""
    session = api.v1.checkout.sessions.create({
        "mode": "payment", "customer": customer, "success_url": "https://shop.example/ok",
        "line_items": [{
            "quantity": 1,
            "price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Top-up"}},
        }],
    })  # fmt: skip
    grant = api.v1.billing.credit_grants.create({
        "customer": customer, "category": "paid",
        "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 500}},
        "applicability_config": {"scope": {"price_type": "metered"}},
    })  # fmt: skip
    hook = api.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/h", "enabled_events": ["invoice.paid"]}
    )
    api.v1.webhook_endpoints.delete(hook.id)
    return {"session": session.status, "grant": grant.amount.monetary.value, "secret": hook.secret[:6]}


class Inbox(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    received: list[tuple[bytes, str]] = []

    def do_POST(self) -> None:
        """Take a delivery."""
        body = self.rfile.read(int(self.headers["content-length"]))
        Inbox.received.append((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def take_two(server: HTTPServer) -> None:
    """Take two deliveries."""
    for _ in range(2):
        server.handle_request()


def walk_webhooks(api: Any) -> dict[str, Any]:
    """Be sent a snapshot and a thin event, and read both."""
    server = HTTPServer(("127.0.0.1", 0), Inbox)
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    hook = api.v1.webhook_endpoints.create({"url": url, "enabled_events": ["customer.created"]})
    destination = api.v2.core.event_destinations.create({
        "name": "thin", "type": "webhook_endpoint", "event_payload": "thin",
        "enabled_events": ["v1.billing.meter.error_report_triggered"],
        "webhook_endpoint": {"url": url}, "include": ["webhook_endpoint.signing_secret"],
    })  # fmt: skip
    taking = threading.Thread(target=take_two, args=(server,))
    taking.start()
    api.v1.customers.create({"name": "Globex"})
    api.v2.billing.meter_events.create(event("cus_gone", "1", identifier="five"))
    taking.join(10)
    server.server_close()
    parcels = {b'"v2.core.event"' in body: (body, signature) for body, signature in Inbox.received}
    snapshot = api.construct_event(*parcels[False], hook.secret)
    thin = api.parse_event_notification(*parcels[True], destination.webhook_endpoint.signing_secret)
    forged = error_of(lambda: api.construct_event(*parcels[False], "whsec_other"))
    return {
        "snapshot": snapshot.type, "thin": thin.type, "forged": type(forged).__name__,
        "meter_of_thin": thin.fetch_related_object().event_name,
        "fetched": thin.fetch_event().data.reason.error_count,
    }  # fmt: skip


def set_fault(kind: str, **more: object) -> None:
    """Have the next customer's creation go wrong."""
    body = json.dumps({"kind": kind, "path": "^/v1/customers$", "method": "POST"} | more).encode()
    urllib.request.urlopen(f"{BASE}/_sim/faults", data=body).close()


def walk_faults() -> dict[str, Any]:
    """Count the calls that the library makes by itself when it may try twice more."""
    api = client()
    faults = ["rate_limited", "lock_timeout", "conflict_409", "html_502", "error_500", "drop"]
    met: dict[str, Any] = {}
    for kind in faults:
        set_fault(kind, times=0)
        before = calls_made()
        raised = error_of(lambda: api.v1.customers.create({"name": "x"}, {"max_network_retries": 2}))
        met[kind] = [calls_made() - before, type(raised).__name__]
        clearing = urllib.request.Request(f"{BASE}/_sim/faults", method="DELETE")
        urllib.request.urlopen(clearing).close()
    return {"faults": met}


def calls_made() -> int:
    """Count the requests that reached the simulator."""
    with urllib.request.urlopen(f"{BASE}/_sim/truth") as answer:
        return int(json.load(answer)["requests"])


def main() -> None:
    """Walk, and print what was met."""
    stripe.enable_telemetry = False
    api = client()
    met = walk_billing(api)
    met |= walk_events(api, met["customer"]) | walk_errors(api) | walk_checkout(api, met["customer"])
    met |= walk_webhooks(api) | walk_faults()
    sys.stdout.write(json.dumps(met))


main()
