"""Keys, idempotency, rate limits and the ways an answer can go missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.simulators.stripe.conftest import Stripe, wait_until

DAY = 86_400


def error_of(answer: httpx.Response) -> dict[str, object]:
    error: dict[str, object] = answer.json()["error"]
    return error


def test_a_key_must_exist_and_be_in_force(stripe: Stripe) -> None:
    assert stripe.send("GET", "/v1/customers", key="sk_test_other").status_code == 401
    assert stripe.http.get("/v1/customers").status_code == 401
    stripe.sim("keys", key="rk_test_old", status="expired")
    expired = stripe.send("GET", "/v1/customers", key="rk_test_old")
    assert (expired.status_code, error_of(expired)["code"]) == (401, "api_key_expired")
    assert "rk_test_old" not in expired.text


def test_a_restricted_key_is_told_what_it_lacks(stripe: Stripe) -> None:
    stripe.sim("keys", key="rk_test_push", scopes=["billing_meter_event_write", "billing_meter_write"])
    refused = stripe.send("POST", "/v1/customers", key="rk_test_push")
    assert refused.status_code == 403
    assert "'rak_customer_write'" in str(error_of(refused)["message"])
    assert stripe.send("GET", "/v1/billing/meters", key="rk_test_push").status_code == 200


def test_modes_and_accounts_are_apart(stripe: Stripe) -> None:
    customer = stripe.customer()
    assert stripe.send("GET", f"/v1/customers/{customer}", key="sk_live_sim").status_code == 404
    stripe.sim("keys", key="sk_test_globex", account="acct_globex")
    assert stripe.send("GET", f"/v1/customers/{customer}", key="sk_test_globex").status_code == 404


def test_a_connected_account_is_reached_by_header(stripe: Stripe) -> None:
    refused = stripe.send("POST", "/v1/customers", stripe_account="acct_shop")
    assert (refused.status_code, error_of(refused)["code"]) == (403, "account_invalid")
    stripe.sim("accounts", account="acct_shop", platform="acct_sim")
    made = stripe.send("POST", "/v1/customers", stripe_account="acct_shop")
    assert made.headers["stripe-account"] == "acct_shop"
    assert stripe.get("/v1/customers")["data"] == []


def test_an_answer_names_its_request_and_version(stripe: Stripe) -> None:
    answer = stripe.send("GET", "/v1/customers", stripe_version="2026-05-27.dahlia")
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-05-27.dahlia"
    assert stripe.send("GET", "/v1/customers", stripe_version="latest").status_code == 400
    assert stripe.send("GET", "/v1/nothing").status_code == 404


def test_v1_replays_what_it_saved_for_a_day(stripe: Stripe) -> None:
    first = stripe.send("POST", "/v1/customers", data={"name": "A"}, idempotency_key="k")
    again = stripe.send("POST", "/v1/customers", data={"name": "A"}, idempotency_key="k")
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    other = stripe.send("POST", "/v1/customers", data={"name": "B"}, idempotency_key="k")
    assert (other.status_code, error_of(other)["type"]) == (400, "idempotency_error")
    stripe.advance(DAY)
    later = stripe.send("POST", "/v1/customers", data={"name": "A"}, idempotency_key="k")
    assert later.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("path", ["/v1/billing/meter_events", "/v2/billing/meter_events"])
def test_a_key_in_use_is_a_conflict(stripe: Stripe, path: str) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.sim("knobs", one_call_per_customer_meter=False)
    stripe.fault("latency", path=path, after_ms=300)
    send = stripe.event if path.startswith("/v1") else stripe.event_v2
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(send, customer, 5, identifier="a", key="k")
        wait_until(lambda: stripe.told("usage", identifier="a") != [])
        early = send(customer, 5, identifier="a", key="k")
        assert slow.result().status_code == 200
    assert early.status_code == 409
    assert send(customer, 5, identifier="a", key="k").status_code == 200
    assert stripe.total(meter, customer) == 5


def test_a_shape_nobody_thought_of_is_refused(stripe: Stripe) -> None:
    data = {"customer": stripe.customer(), "items": "x", "mode": "payment", "line_items[0]": "x"}
    for path in ("/v1/subscriptions", "/v1/checkout/sessions"):
        assert stripe.send("POST", path, data=data).status_code == 400
    del data["items"], data["customer"]
    answer = stripe.send("POST", "/v1/checkout/sessions", data=data)
    assert (answer.status_code, error_of(answer)["type"]) == (400, "invalid_request_error")


def test_v1_saves_a_500_under_the_key(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.fault("error_500", path="meter_events")
    assert stripe.event(customer, 5, identifier="a", key="k").status_code == 500
    replayed = stripe.event(customer, 5, identifier="a", key="k")
    assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (500, "true")
    assert stripe.total(meter, customer) == 0
    assert stripe.event(customer, 5, identifier="a", key="k2").status_code == 200
    assert stripe.total(meter, customer) == 5


def test_v1_saves_a_refusal_but_not_of_bad_parameters(stripe: Stripe) -> None:
    customer = stripe.customer()
    assert stripe.event(customer, 5, key="k").status_code == 400
    assert stripe.event(customer, 5, key="bad", colour="red").status_code == 400
    stripe.meter()
    assert stripe.event(customer, 5, key="k").status_code == 400
    assert stripe.event(customer, 5, key="bad").status_code == 200


def test_v2_replays_success_for_thirty_days_and_repeats_failure(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.fault("error_500", path="meter_events")
    stamp = "2026-01-01T00:00:00Z"
    statuses = [
        stripe.event_v2(customer, 5, identifier="a", key="k", timestamp=stamp).status_code for _ in range(3)
    ]
    assert statuses == [500, 200, 200]
    stripe.advance(29 * DAY)
    assert stripe.event_v2(customer, 5, identifier="a", key="k", timestamp=stamp).status_code == 200
    assert stripe.total(meter, customer) == 5
    other = stripe.event_v2(customer, 6, identifier="a", key="k", timestamp=stamp)
    assert (error_of(other)["type"], error_of(other)["code"]) == ("idempotency_error", "idempotency_error")
    # then nothing is left that knows of the event, and it is counted again
    stripe.advance(DAY)
    assert stripe.event_v2(customer, 5, identifier="a", key="k", timestamp=stamp).status_code == 200
    assert stripe.total(meter, customer) == 10


@pytest.mark.parametrize("kind", ["drop", "html_502", "unavailable_503", "error_500"])
def test_work_may_be_done_although_the_answer_is_lost(stripe: Stripe, kind: str) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.fault(kind, path="meter_events", execute=True)
    if kind == "drop":
        with pytest.raises(httpx.TransportError):
            stripe.event(customer, 5, identifier="a")
    else:
        assert stripe.event(customer, 5, identifier="a").status_code >= 500
    assert stripe.total(meter, customer) == 5
    assert "An event already exists" in str(error_of(stripe.event(customer, 5, identifier="a"))["message"])


def test_a_hang_commits_and_never_answers(stripe: Stripe) -> None:
    meter, customer = stripe.meter(), stripe.customer()
    stripe.fault("hang", path="meter_events")
    with pytest.raises(httpx.ReadTimeout):
        stripe.http.post(
            "/v1/billing/meter_events",
            data={"event_name": "spend", "payload[stripe_customer_id]": customer, "payload[value]": "5"},
            headers={"authorization": "Bearer sk_test_sim"},
            timeout=0.3,
        )
    assert stripe.total(meter, customer) == 5


@pytest.mark.parametrize(
    ("kind", "status", "retry"),
    [("html_502", 502, None), ("unavailable_503", 503, None), ("conflict_409", 409, "true"),
     ("lock_timeout", 429, "true"), ("rate_limited", 429, None), ("unauthorized", 401, None)],
)  # fmt: skip
def test_a_fault_at_the_edge_does_nothing(stripe: Stripe, kind: str, status: int, retry: str | None) -> None:
    stripe.fault(kind, method="POST", path="^/v1/customers$")
    answer = stripe.send("POST", "/v1/customers", idempotency_key="k")
    assert (answer.status_code, answer.headers.get("stripe-should-retry")) == (status, retry)
    assert stripe.get("/v1/customers")["data"] == []
    assert stripe.send("POST", "/v1/customers", idempotency_key="k").status_code == 200


def test_faults_can_be_aimed(stripe: Stripe) -> None:
    stripe.fault("rate_limited", contains="acme", reason="global-rate", skip=1, times=0)
    names = ["acme", "globex", "acme", "acme"]
    answers = [stripe.send("POST", "/v1/customers", data={"name": name}) for name in names]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[2].headers["stripe-rate-limited-reason"] == "global-rate"
    stripe.http.delete("/_sim/faults")
    assert stripe.send("POST", "/v1/customers", data={"name": "acme"}).status_code == 200


def test_rate_limits_are_kept_when_switched_on(stripe: Stripe) -> None:
    stripe.sim("knobs", rate_limits=True, rate_test_per_s=5)
    answers = [stripe.send("GET", "/v1/customers") for _ in range(7)]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert answers[-1].headers["stripe-rate-limited-reason"] == "global-rate"


def test_the_log_tells_what_was_asked_without_keys(stripe: Stripe) -> None:
    stripe.fault("html_502", path="customers")
    stripe.send("POST", "/v1/customers", data={"name": "A"}, idempotency_key="k")
    (entry,) = stripe.told("log", path="/v1/customers")
    assert (entry["fault"], entry["status"], entry["idempotency_key"]) == ("html_502", 502, "k")
    assert "sk_test_sim" not in str(entry)


def test_control_says_what_it_does_not_understand(stripe: Stripe) -> None:
    assert stripe.http.post("/_sim/knobs", json={"nothing": 1}).status_code == 400
    assert stripe.http.post("/_sim/knobs", json={"payments": 1}).status_code == 400
    assert stripe.http.post("/_sim/faults", json={"kind": "other"}).status_code == 400
    assert stripe.http.get("/_sim/nothing").status_code == 404
