"""Calls and usage over HTTP: in full, in dollars, and only one's own."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.ledger.recorder import Recorder
from tenants.models import Tenant
from tests.billing.conftest import STARTED_MS, Streams, body_of
from tests.factories import make_api_key, make_tenant

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.filterwarnings("ignore:No directory at"),  # static files are collected for production only
]

SPAN = {"from": "2026-11-18T00:00:00Z", "to": "2026-11-19T00:00:00Z"}


@pytest.fixture
def acme(streams: Streams) -> Tenant:
    tenant = make_tenant("Acme")
    streams.open(tenant.pk)
    return tenant


@pytest.fixture
def globex(streams: Streams) -> Tenant:
    tenant = make_tenant("Globex")
    streams.open(tenant.pk)
    return tenant


def client_of(tenant: Tenant, **terms: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_api_key(tenant, **terms)}")
    return client


def test_a_call_shows_all_its_rows_in_full(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    hold_id = streams.hold_id()
    body = body_of(request_id="req_a", markup_bp=1_000, extras={"web_search": 1})
    expired = streams.append(
        acme.pk, hold_id=hold_id, kind="expired", basis="unresolved", body=body, cost=9_000, charge=9_900
    )
    streams.append(
        acme.pk, hold_id=hold_id, kind="correction", corrects=expired, body=body, cost=-8_000, charge=-8_800
    )
    recorder.drain()

    answer = client_of(acme).get("/api/v1/requests/req_a")

    assert answer.status_code == 200
    call = answer.json()
    rows = call.pop("rows")
    assert call == {
        "request_id": "req_a",
        "customer": "cus_1",
        "key": "key_1",
        "run": None,
        "model": "gpt-4o-mini",
        "started_at": "2026-11-18T11:06:40Z",
        "ended_at": "2026-11-18T11:06:40.900000Z",
        "attempts": 1,
        "basis": "reported",
        "tags": {"feature": "search"},
        "cost_usd": "0.000001",
        "charge_usd": "0.0000011",
    }
    assert {row["kind"]: row["cost_usd"] for row in rows} == {
        "expired": "0.000009",
        "correction": "-0.000008",
    }
    [row] = [row for row in rows if row["kind"] == "expired"]
    assert row["quote"] == {
        "cost_usd": "0.000009",
        "charge_usd": "0.0000099",
        "bound_class": "exact",
        "input_tokens": 100,
        "output_cap": 64,
        "output_cap_source": "caller",
    }
    assert (row["tokens"]["input"], row["tokens"]["output"], row["extras"]) == (90, 12, {"web_search": 1})
    assert (row["price_id"], row["basis"], row["end"], row["markup_percent"]) == (
        "pri_1",
        "unresolved",
        "complete",
        "10.00",
    )
    assert row["budgets"][0] == {"budget": "bud_c", "window": "month-1793491200", "measure": "charge"}


def test_calls_are_listed_newest_first_page_by_page(
    recorder: Recorder, streams: Streams, acme: Tenant
) -> None:
    for number in range(7):
        started_ms = STARTED_MS + number * 1_000
        for attempt in (1, 2):  # a retry is a row of the same call
            body = body_of(request_id=f"req_{number}", attempt=attempt, started_ms=started_ms + attempt)
            streams.append(acme.pk, hold_id=streams.hold_id(started_ms), body=body)
    recorder.drain()
    client = client_of(acme)

    seen, url = [], "/api/v1/requests?limit=3"
    while url:
        page = client.get(url).json()
        seen += [(call["request_id"], call["attempts"]) for call in page["data"]]
        url = page["next"]

    assert seen == [(f"req_{number}", 2) for number in reversed(range(7))]


def test_calls_are_narrowed_by_customer_and_time(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    streams.append(acme.pk, body=body_of(request_id="req_1"))
    streams.append(acme.pk, body=body_of(request_id="req_2", customer_id="cus_2"))
    streams.append(acme.pk, body=body_of(request_id="req_3", started_ms=STARTED_MS + 86_400_000))
    recorder.drain()
    client = client_of(acme)

    def found(**wanted: str) -> set[str]:
        return {call["request_id"] for call in client.get("/api/v1/requests", wanted).json()["data"]}

    assert found(customer="cus_1") == {"req_1", "req_3"}
    assert found(customer="cus_1", to="2026-11-19") == {"req_1"}
    assert client.get("/api/v1/requests", {"from": "yesterday"}).json()["code"] == "invalid_request"
    assert client.get("/api/v1/requests", {"customer": "a\0"}).status_code == 400


def test_nobody_reads_another_tenants_or_modes_books(
    recorder: Recorder, streams: Streams, acme: Tenant, globex: Tenant
) -> None:
    streams.append(acme.pk, body=body_of(request_id="req_shared"))
    streams.append(globex.pk, body=body_of(request_id="req_shared"))
    streams.append(acme.pk, mode="live", body=body_of(request_id="req_live"))
    recorder.drain()
    client = client_of(globex)

    assert len(client.get("/api/v1/requests").json()["data"]) == 1
    assert len(client.get("/api/v1/requests/req_shared").json()["rows"]) == 1
    assert client.get("/api/v1/requests/req_live").status_code == 404
    assert client_of(acme).get("/api/v1/requests/req_live").status_code == 404
    assert client_of(acme, mode="live").get("/api/v1/requests/req_live").status_code == 200
    assert [group["attempts"] for group in client.get("/api/v1/usage", SPAN).json()["data"]] == [1]


def test_usage_is_grouped_as_asked(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    streams.append(acme.pk)
    streams.append(acme.pk, body=body_of(model="gpt-5", customer_id="cus_2"))
    recorder.drain()

    asked = {**SPAN, "group_by": "customer,model,tag:feature", "interval": "day", "zone": "Asia/Kathmandu"}
    answer = client_of(acme).get("/api/v1/usage", asked).json()

    assert answer["zone"] == "Asia/Kathmandu"
    [first, second] = answer["data"]
    assert (first["customer"], first["model"], first["tag:feature"]) == ("cus_1", "gpt-4o-mini", "search")
    assert (second["customer"], second["model"]) == ("cus_2", "gpt-5")
    assert first["start"] == "2026-11-18T00:00:00+05:45"
    assert (first["attempts"], first["cost_usd"], first["charge_usd"]) == (1, "0.000001", "0.0000011")
    assert first["tokens"]["input"] == 90


@pytest.mark.parametrize(
    "asked",
    [{"group_by": "password"}, {"interval": "week"}, {"zone": "Nowhere"}, {"from": "2026-11-18T00:01:00Z"}],
)
def test_a_wrong_question_names_its_parameter(acme: Tenant, asked: dict[str, str]) -> None:
    answer = client_of(acme).get("/api/v1/usage", {**SPAN, **asked})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == next(iter(asked))


def test_a_key_needs_the_scope(acme: Tenant) -> None:
    client = client_of(acme, scopes=("customers:read",))

    assert client.get("/api/v1/usage").json()["code"] == "scope_missing"
    assert client.get("/api/v1/requests").status_code == 403
    assert APIClient().get("/api/v1/requests").status_code == 401
