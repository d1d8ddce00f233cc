"""Meter events: what is refused at once, what later, and what is counted."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.simulators.stripe.conftest import START, Stripe

DAY = 86_400
HOUR = 3600


def thin_events(stripe: Stripe, **params: str) -> list[dict[str, object]]:
    data: list[dict[str, object]] = stripe.get("/v2/core/events", **params)["data"]
    return data


def test_an_event_is_counted_by_its_timestamp(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    answer = stripe.event(customer, 5, timestamp=START - 60, identifier="a").json()
    assert answer["object"] == "billing.meter_event"
    assert (answer["identifier"], answer["payload"]["value"]) == ("a", "5")
    assert stripe.total(meter, customer, span_s=(START - 60, START)) == 5
    assert stripe.total(meter, customer, span_s=(START, START + 60)) == 0


def test_v1_refuses_a_repeated_identifier_without_a_code(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.event(customer, 5, identifier="a")
    again = stripe.event(customer, 7, identifier="a")
    assert again.status_code == 400
    assert again.headers["stripe-should-retry"] == "false"
    error = again.json()["error"]
    assert (error["type"], error.get("code")) == ("invalid_request_error", None)
    assert error["message"] == "An event already exists with identifier a."
    assert stripe.total(meter, customer) == 5


def test_v2_refuses_a_repeated_identifier_with_a_code(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    assert stripe.event_v2(customer, 5, identifier="a").json()["object"] == "v2.billing.meter_event"
    again = stripe.event_v2(customer, 5, identifier="a")
    assert (again.status_code, again.json()["error"]["code"]) == (400, "duplicate_meter_event")
    assert stripe.event(customer, 5, identifier="a").status_code == 400
    assert stripe.total(meter, customer) == 5


@pytest.mark.parametrize("window_s", [DAY, 0])
def test_an_identifier_is_forgotten_after_the_window(stripe: Stripe, window_s: int) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.sim("knobs", dedup_window_s=window_s)
    stripe.event(customer, 5, identifier="a", timestamp=START)
    stripe.advance(window_s)
    assert stripe.event(customer, 5, identifier="a", timestamp=START).status_code == 200
    assert stripe.total(meter, customer) == 10


def test_the_timestamp_windows_are_35_days_and_5_minutes(stripe: Stripe) -> None:
    stripe.meter()
    customer = stripe.customer()
    assert stripe.event(customer, 1, timestamp=START - 35 * DAY).status_code == 200
    assert stripe.event(customer, 1, timestamp=START + 300).status_code == 200
    old = stripe.event(customer, 1, timestamp=START - 35 * DAY - 1)
    assert old.json()["error"]["message"] == (
        "The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or equal "
        f"to {START - 35 * DAY}."
    )
    assert stripe.event(customer, 1, timestamp=START + 301).status_code == 400
    v2 = stripe.event_v2(customer, 1, timestamp="2026-01-01T00:05:01Z")
    assert v2.json()["error"]["code"] == "timestamp_in_future"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("999999999999999", 200),
        ("1000000000000000", 400),
        ("-5", 200),
        ("0.25", 200),
        ("1E-7", 400),
        ("x", 400),
    ],
)
def test_a_value_has_at_most_fifteen_digits(stripe: Stripe, value: str, status: int) -> None:
    stripe.meter()
    customer = stripe.customer()
    assert stripe.event(customer, value).status_code == status
    v2 = stripe.event_v2(customer, value)
    assert v2.status_code == status
    assert status == 200 or v2.json()["error"]["code"] == "payload_invalid_value"


def test_v2_names_what_is_wrong(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()

    def code(**more: object) -> str:
        return str(stripe.event_v2(customer, 1, **more).json()["error"]["code"])

    assert code(event_name="other") == "no_meter"
    assert code(payload={"value": "1"}) == "payload_no_customer_defined"
    assert code(payload={"stripe_customer_id": customer}) == "payload_no_value_defined"
    stripe.post(f"/v1/billing/meters/{meter}/deactivate")
    assert code() == "archived_meter"
    message = stripe.event(customer, 1).json()["error"]["message"]
    assert message == 'No active meter found for event name "spend".'


def test_parameters_are_checked(stripe: Stripe) -> None:
    stripe.meter()
    customer = stripe.customer()
    assert stripe.event(customer, 1, colour="red").json()["error"]["code"] == "parameter_unknown"
    assert stripe.event(customer, 1, identifier="x" * 101).status_code == 400
    assert stripe.event_v2(customer, 1, colour="red").status_code == 400
    missing = stripe.send("POST", "/v1/billing/meter_events", data={"event_name": "spend"})
    assert missing.status_code == 400


def test_an_unknown_customer_is_reported_later(stripe: Stripe) -> None:
    meter = stripe.meter()
    assert stripe.event_v2("cus_gone", 1, identifier="a", key="key-a").status_code == 200
    (event,) = thin_events(stripe, object_id=meter)
    assert event["type"] == "v1.billing.meter.error_report_triggered"
    told = stripe.get(f"/v2/core/events/{event['id']}")
    (kind,) = told["data"]["reason"]["error_types"]
    assert (kind["code"], kind["error_count"]) == ("meter_event_customer_not_found", 1)
    assert kind["sample_errors"][0]["request"]["identifier"] == "key-a"
    assert told["related_object"]["id"] == meter
    assert stripe.told("usage", identifier="a")[0]["state"] == "rejected"


def test_an_unknown_customer_is_refused_at_once_when_told_so(stripe: Stripe) -> None:
    stripe.meter()
    stripe.sim("knobs", unknown_customer="sync")
    assert stripe.event("cus_gone", 1).json()["error"]["code"] == "resource_missing"


def test_a_report_gives_samples_only_and_can_be_listed_by_type_and_time(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.sim("knobs", validation_delay_s=10, error_samples_max=2)
    stripe.fault("async_reject", times=3, code="meter_event_invalid_value")
    for number in range(4):
        stripe.event(customer, 1, identifier=f"a{number}")
    assert stripe.total(meter, customer) == 0
    stripe.advance(10)
    assert stripe.total(meter, customer) == 1
    kinds = {"types[0]": "v1.billing.meter.error_report_triggered", "created[gte]": "2026-01-01T00:00:00Z"}
    (event,) = thin_events(stripe, **kinds)
    reason = stripe.get(f"/v2/core/events/{event['id']}")["data"]["reason"]
    assert (reason["error_count"], len(reason["error_types"][0]["sample_errors"])) == (3, 2)
    assert thin_events(stripe, **{"types[0]": "other"}) == []
    stripe.advance(30 * DAY)
    assert thin_events(stripe, **{"types[0]": kinds["types[0]"]}) == []


def test_the_stream_takes_a_hundred_events_for_fifteen_minutes(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    session = stripe.post("/v2/billing/meter_event_session")
    token = session["authentication_token"]

    def stream(events: list[object]) -> tuple[int, dict[str, object]]:
        data = {"events": events}
        answer = stripe.send("POST", "/v2/billing/meter_event_stream", data=data, key=token)
        return answer.status_code, answer.json()

    event = {"event_name": "spend", "payload": {"stripe_customer_id": customer, "value": "1"}}
    assert stream([event] * 100) == (200, {})
    assert stream([event] * 101)[0] == 400
    assert stream([event | {"event_name": "other"}]) == (200, {})
    assert stripe.total(meter, customer) == 100
    assert [each["type"] for each in thin_events(stripe)] == ["v1.billing.meter.no_meter_found"]
    stripe.advance(15 * 60)
    status, told = stream([event])
    assert status == 401
    error = told["error"]
    assert isinstance(error, dict)
    assert error["code"] == "billing_meter_event_session_expired"
    assert error["type"] == "temporary_session_expired"


def test_an_adjustment_cancels_within_a_day(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    for name in ("a", "b"):
        stripe.event(customer, 5, identifier=name)

    def cancel(name: str) -> int:
        data = {"type": "cancel", "event_name": "spend", "cancel[identifier]": name}
        return stripe.send("POST", "/v1/billing/meter_event_adjustments", data=data).status_code

    assert cancel("a") == 200
    assert stripe.total(meter, customer) == 5
    stripe.advance(DAY + 1)
    assert (cancel("b"), cancel("never")) == (400, 400)


def test_summaries_want_aligned_edges_and_group_by_hour_and_day(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    for hour in range(12):
        stripe.event(customer, hour + 1, timestamp=START - (hour + 1) * HOUR)
    path = f"/v1/billing/meters/{meter}/event_summaries"
    wanted: dict[str, object] = {"customer": customer, "start_time": START - DAY, "end_time": START}
    page = stripe.get(path, **wanted, value_grouping_window="hour")
    assert [row["aggregated_value"] for row in page["data"]] == list(range(1, 11))
    assert page["has_more"]
    last = page["data"][-1]["id"]
    rest = stripe.get(path, **wanted, value_grouping_window="hour", starting_after=last)
    assert [row["aggregated_value"] for row in rest["data"]] == [11, 12]
    days = stripe.get(path, **wanted, value_grouping_window="day")["data"]
    assert [(row["start_time"], row["aggregated_value"]) for row in days] == [(START - DAY, 78)]
    for changed in ({"start_time": START - 61}, {"end_time": START + 60, "value_grouping_window": "hour"}):
        assert stripe.send("GET", path, data=wanted | changed).status_code == 400
    assert stripe.send("GET", path, data=wanted | {"limit": 101}).status_code == 400


def test_summaries_lag_when_told_to(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.sim("knobs", summary_lag_s=120)
    stripe.event(customer, 5)
    assert stripe.total(meter, customer) == 0
    stripe.advance(120)
    assert stripe.total(meter, customer) == 5


def test_a_time_window_counts_the_last_event_received(stripe: Stripe) -> None:
    meter, customer = stripe.meter(event_time_window="hour"), stripe.customer()
    for value, at_s in ((5, START), (3, START - 60), (9, START - 120)):
        stripe.event(customer, value, timestamp=at_s)
    assert stripe.total(meter, customer) == 14


def test_one_call_at_a_time_for_a_customer_on_a_meter(stripe: Stripe) -> None:
    stripe.meter()
    customers = [stripe.customer(), stripe.customer()]
    stripe.fault("latency", path="meter_events", after_ms=300, times=1)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(stripe.event, customers[0], 1)
        time.sleep(0.1)
        crowded, other = stripe.event(customers[0], 1), stripe.event(customers[1], 1)
        assert slow.result().status_code == 200
    assert (crowded.status_code, other.status_code) == (429, 200)
    assert crowded.headers["stripe-rate-limited-reason"] == "resource-specific"
    assert stripe.event(customers[0], 1).status_code == 200
