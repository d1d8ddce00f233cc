"""Billing through Stripe by API: what a program can do, and how Stripe's refusals read."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import StripeConnection
from tests.billing.stripe.conftest import Stripe
from tests.factories import Holding, make_api_key, make_customer

BASE = "/api/v1/billing"


@pytest.fixture
def api(acme: Holding) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    return client


def send(api: APIClient, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    """Make a request that must be answered so."""
    answer = getattr(api, method)(f"{BASE}/{path}", body, format="json")
    assert answer.status_code == status, answer.content
    return answer.json()


def test_the_whole_way_by_program(here: Stripe, acme: Holding, api: APIClient) -> None:
    assert send(api, "get", "connection", status=409)["code"] == "stripe_not_connected"
    made = send(api, "post", "connection", {"api_key": "rk_test_sim"}, status=201)
    assert (made["status"], made["key_last4"], made["simulated"], made["events"]) == (
        "ok",
        "_sim",
        True,
        "polled",
    )
    meter = send(api, "post", "meters", {"currency": "usd"}, status=201)
    assert send(api, "get", f"meters/{meter['id']}") == meter
    own = f"customer-maps/{acme.customer.pk}"
    assert send(api, "get", own)["state"] == "unmapped"
    assert send(api, "put", own, {"new": True, "email": "a@acme.example"})["state"] == "no_subscription"
    assert send(api, "post", f"{own}/subscribe", {})["state"] == "mapped"
    assert send(api, "post", f"{own}/refresh")["subscription_status"] == "active"
    assert send(api, "post", "connection/webhook")["events"] == "webhook"
    assert all(check["ok"] for check in send(api, "post", "connection/check")["checks"])
    assert send(api, "delete", own)["state"] == "unmapped"
    assert send(api, "delete", f"meters/{meter['id']}")["status"] == "archived"
    assert send(api, "delete", "connection")["status"] == "disconnected"


def test_no_answer_ever_holds_a_key(here: Stripe, connection: StripeConnection, api: APIClient) -> None:
    send(api, "post", "connection/webhook")
    told = str(send(api, "get", "connection")) + str(send(api, "post", "connection/check"))
    connection.refresh_from_db()
    for secret in ("rk_test_sim", "whsec_", connection.secret, connection.endpoint_public_id):
        assert secret not in told


def test_those_whose_usage_waits_are_one_question(
    here: Stripe, connection: StripeConnection, acme: Holding, api: APIClient
) -> None:
    make_customer(acme.tenant, "acme-2")
    send(api, "put", f"customer-maps/{acme.customer.pk}", {"stripe_customer_id": here.customer()})
    waiting = send(api, "get", "customer-maps?state=unmapped")["data"]
    assert [row["external_id"] for row in waiting] == ["acme-2"]
    assert len(send(api, "get", "customer-maps")["data"]) == 2
    assert send(api, "get", "customer-maps?state=gone", status=400)["code"] == "invalid_request"


def test_a_file_goes_in_and_comes_out(
    here: Stripe, connection: StripeConnection, acme: Holding, api: APIClient
) -> None:
    wanted = here.customer()
    text = f"external_id,stripe_customer_id\n{acme.customer.external_id},{wanted}\nnobody,cus_1\n"
    told = send(api, "post", "customer-maps/import", {"csv": text})
    assert (told["mapped"], told["failed"], told["lines"][0]["state"]) == (1, 1, "no_subscription")
    exported = api.get(f"{BASE}/customer-maps/export")
    assert wanted in exported.content.decode()
    assert exported["Content-Type"].startswith("text/csv")


def test_customers_that_carry_our_id_are_matched(
    here: Stripe, connection: StripeConnection, acme: Holding, api: APIClient
) -> None:
    here.customer(**{"metadata[farebox_external_id]": acme.customer.external_id})
    told = send(api, "post", "customer-maps/match")
    assert (told["matched"], told["maps"][0]["customer"]) == (1, acme.customer.pk)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"api_key": "rk_live_sim"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"key": "rk_test_sim"}, "key"),
    ],
    ids=["mode", "empty", "misspelt"],
)
def test_a_bad_key_is_a_400_at_its_field(here: Stripe, api: APIClient, body: Any, field: str) -> None:
    told = send(api, "post", "connection", body, status=400)
    assert field in {row["field"] for row in told["errors"]}


def test_stripes_refusals_are_told_with_what_helps(
    here: Stripe, connection: StripeConnection, acme: Holding, api: APIClient
) -> None:
    own = f"customer-maps/{acme.customer.pk}"
    here.fault("unavailable_503", path="^/v1/customers")
    told = send(api, "put", own, {"stripe_customer_id": "cus_1"}, status=503)
    assert (told["code"], told["verdict"]) == ("stripe_failed", "ambiguous")
    here.sim("keys", key="rk_test_sim", scopes=["customer_read"])
    told = send(api, "put", own, {"new": True}, status=502)
    assert told["scopes_missing"] == ["rak_customer_write"]
    assert send(api, "get", "connection")["status"] == "ok"
    here.sim("keys", key="rk_test_sim", status="revoked")
    assert send(api, "put", own, {"new": True}, status=502)["verdict"] == "auth"
    assert send(api, "get", "connection")["status"] == "broken"
    assert send(api, "put", own, {"new": True}, status=409)["code"] == "stripe_not_connected"


def test_a_repeated_request_is_answered_as_the_first_was(
    here: Stripe, connection: StripeConnection, api: APIClient
) -> None:
    key = {"HTTP_IDEMPOTENCY_KEY": "once"}
    answers = [api.post(f"{BASE}/meters", {"currency": "usd"}, format="json", **key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers.get("Idempotent-Replayed") == "true"


@pytest.mark.parametrize("path", ["connection", "meters", "customer-maps", "customer-maps/export"])
def test_billing_needs_its_own_scope(acme: Holding, path: str) -> None:
    client = APIClient()
    secret = make_api_key(acme.tenant, scopes=("customers:write",))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert send(client, "get", path, status=403)["code"] == "scope_missing"
