"""Webhooks: signed, filtered, tried again, held back, forged on request."""

from __future__ import annotations

import hashlib
import hmac
import time
from functools import partial

from tests.simulators.stripe.conftest import Inbox, Stripe, wait_until


def is_signed(body: bytes, header: str, secret: str) -> bool:
    parts = [part.split("=", 1) for part in header.split(",")]
    stamp = next(value for name, value in parts if name == "t")
    wanted = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    fresh = abs(time.time() - int(stamp)) < 300
    return fresh and wanted in {value for name, value in parts if name == "v1"}


def has_come(inbox: Inbox, count: int) -> bool:
    return len(inbox.received) == count


def register(stripe: Stripe, inbox: Inbox, *kinds: str) -> dict[str, str]:
    events = {f"enabled_events[{number}]": kind for number, kind in enumerate(kinds)}
    made: dict[str, str] = stripe.post("/v1/webhook_endpoints", url=inbox.url, **events)
    return made


def test_a_snapshot_is_signed_and_only_what_is_wanted_is_sent(stripe: Stripe, inbox: Inbox) -> None:
    endpoint = register(stripe, inbox, "customer.created")
    stripe.meter()
    customer = stripe.customer()
    wait_until(lambda: len(inbox.received) == 1)
    body, header = inbox.received[0]
    assert is_signed(body, header, endpoint["secret"])
    (event,) = inbox.events()
    assert (event["type"], event["data"]["object"]["id"]) == ("customer.created", customer)
    assert stripe.get(f"/v1/events/{event['id']}")["type"] == "customer.created"
    assert "secret" not in stripe.get("/v1/webhook_endpoints")["data"][0]


def test_a_thin_event_carries_no_data(stripe: Stripe, inbox: Inbox) -> None:
    destination = stripe.post(
        "/v2/core/event_destinations", type="webhook_endpoint", name="n", event_payload="thin",
        enabled_events=["v1.billing.meter.error_report_triggered"], webhook_endpoint={"url": inbox.url},
        include=["webhook_endpoint.signing_secret"],
    )  # fmt: skip
    meter = stripe.meter()
    stripe.event("cus_gone", 1)
    wait_until(lambda: len(inbox.received) == 1)
    body, header = inbox.received[0]
    assert is_signed(body, header, destination["webhook_endpoint"]["signing_secret"])
    (event,) = inbox.events()
    assert (event["object"], event["related_object"]["id"], "data" in event) == (
        "v2.core.event",
        meter,
        False,
    )


def test_a_refused_delivery_is_tried_again(stripe: Stripe, inbox: Inbox) -> None:
    register(stripe, inbox, "*")
    inbox.statuses = [500, 200]
    stripe.customer()
    wait_until(lambda: [each["status"] for each in stripe.told("deliveries")] == [500])
    stripe.advance(5)
    wait_until(lambda: [each["status"] for each in stripe.told("deliveries")] == [500, 200])
    assert len({event["id"] for event in inbox.events()}) == 1


def test_events_can_be_held_and_let_go_in_another_order(stripe: Stripe, inbox: Inbox) -> None:
    register(stripe, inbox, "*")
    stripe.sim("knobs", webhooks_paused=True)
    customer = stripe.customer()
    stripe.send("DELETE", f"/v1/customers/{customer}")
    assert inbox.received == []
    stripe.sim("webhooks/flush", reversed=True)
    wait_until(lambda: len(inbox.received) == 2)
    assert {event["type"] for event in inbox.events()} == {"customer.created", "customer.deleted"}
    assert [each["type"] for each in stripe.told("deliveries")] == ["customer.deleted", "customer.created"]


def test_a_delivery_can_be_repeated_forged_aged_and_changed(stripe: Stripe, inbox: Inbox) -> None:
    endpoint = register(stripe, inbox, "*")
    stripe.customer()
    wait_until(lambda: len(inbox.received) == 1)
    name = inbox.events()[0]["id"]
    wishes: list[dict[str, object]] = [{"times": 1}, {"forged": True}, {"offset_s": -400}]
    for count, more in enumerate(wishes, start=2):
        stripe.sim("webhooks/send", event=name, endpoint=endpoint["id"], **more)
        wait_until(partial(has_come, inbox, count))
    signed = [is_signed(body, header, endpoint["secret"]) for body, header in inbox.received]
    assert signed == [True, True, False, False]


def test_a_rolled_secret_signs_beside_the_old(stripe: Stripe, inbox: Inbox) -> None:
    endpoint = register(stripe, inbox, "*")
    rolled = stripe.sim("webhooks/roll", endpoint=endpoint["id"])
    stripe.customer()
    wait_until(lambda: len(inbox.received) == 1)
    for secret in (endpoint["secret"], rolled["secret"]):
        assert is_signed(*inbox.received[0], secret)


def test_an_account_has_sixteen_endpoints_at_most(stripe: Stripe, inbox: Inbox) -> None:
    made = [register(stripe, inbox, "*") for _ in range(16)]
    data = {"url": inbox.url, "enabled_events[0]": "*"}
    assert stripe.send("POST", "/v1/webhook_endpoints", data=data).status_code == 400
    stripe.send("DELETE", f"/v1/webhook_endpoints/{made[0]['id']}")
    assert stripe.send("POST", "/v1/webhook_endpoints", data=data).status_code == 200
