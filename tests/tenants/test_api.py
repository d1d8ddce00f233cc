"""The control API, resource by resource, as a tenant's engineer meets it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from enforcement.control import Control
from enforcement.errors import EnforcementUnavailable
from tenants.models import Budget, Customer, Key, ProviderAccount, TenantSettings
from tenants.projection import tenant_policy
from tests.factories import Holding, make_api_key, make_budget, make_customer
from tests.tenants.conftest import Api

OpenShard = Callable[[str], Control]
ROOT = "/api/v1"


@pytest.fixture
def client(acme: Holding, open_shard: OpenShard, api: Api) -> APIClient:
    """A client of Acme in test mode, its shard open."""
    open_shard(acme.tenant.pk)
    return api(acme.api_key)


def send(client: APIClient, method: str, path: str, body: Any = None, **headers: Any) -> Any:
    return getattr(client, method)(ROOT + path, body, format="json", **headers)


def test_the_way_of_a_newcomer(client: APIClient) -> None:
    account = send(
        client,
        "post",
        "/provider-accounts",
        {"provider": "groq", "name": "g", "api_key": "gsk-1", "base_url": None},
    )
    assert account.status_code == 201
    assert account.json()["base_url"] == "https://api.groq.com/openai/v1"
    assert "gsk-1" not in account.content.decode()

    customer = send(client, "post", "/customers", {"external_id": "c-1", "name": "One"})
    assert customer.status_code == 201
    customer_id = customer.json()["id"]

    terms = {"customer": customer_id, "window": "month", "limit_usd": "50.00", "on_exhaustion": "clamp"}
    budget = send(client, "post", "/budgets", terms)
    assert budget.status_code == 201
    assert budget.json()["pending"] is False

    key = send(client, "post", "/keys", {"customer": customer_id, "name": "prod"})
    assert key.status_code == 201
    assert key.json()["key"].startswith("fbx_ck_test_")
    shown_again = send(client, "get", f"/keys/{key.json()['id']}").json()
    assert "key" not in shown_again

    found = send(client, "get", f"/budgets/{budget.json()['id']}").json()
    assert (found["limit_usd"], found["spent_usd"], found["held_usd"], found["available_usd"]) == (
        "50.00", "0.00", "0.00", "50.00",
    )  # fmt: skip
    start = datetime.fromisoformat(found["window"]["start"])
    assert start == datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def test_a_budget_is_given_another_limit_and_archived(client: APIClient, acme: Holding) -> None:
    path = f"/budgets/{acme.budget.pk}"
    changed = send(client, "patch", path, {"limit_usd": "2.5"})
    assert (changed.status_code, changed.json()["limit_usd"]) == (200, "2.50")

    archived = send(client, "delete", path)
    assert (archived.status_code, archived.json()["state"]) == (200, "archived")
    assert send(client, "get", "/budgets").json()["data"] == []
    assert len(send(client, "get", "/budgets?state=all").json()["data"]) == 1
    refused = send(client, "patch", path, {"limit_usd": "3"})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limit_usd": "1"}, "scope"),
        ({"scope": "tenant", "customer": "cus_x", "limit_usd": "1"}, "scope"),
        ({"customer": "cus_nobody", "limit_usd": "1"}, "customer"),
        ({"scope": "tenant", "limit_usd": 1.5}, "limit_usd"),
        ({"scope": "tenant", "limit_usd": "-1"}, "limit_usd"),
        ({"scope": "tenant", "limit_usd": "9000000.01"}, "limit_usd"),
        ({"scope": "tenant", "limit_usd": "1", "window": "year"}, "window"),
        ({"scope": "tenant", "limit_usd": "1", "zone": "Nowhere"}, "zone"),
        ({"scope": "tenant", "limit_usd": "1", "limt": 1}, "limt"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_by_field(client: APIClient, body: Any, field: str) -> None:
    answer = send(client, "post", "/budgets", body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_customers_are_listed_by_cursor_and_filtered(client: APIClient, acme: Holding) -> None:
    for number in range(5):
        make_customer(acme.tenant, f"c-{number}")
    seen: list[str] = []
    path: str | None = f"{ROOT}/customers?limit=2"
    while path:
        page = client.get(path).json()
        seen += [row["external_id"] for row in page["data"]]
        path = page["next"]
    assert seen == ["c-4", "c-3", "c-2", "c-1", "c-0", "acme-1"]
    assert [row["id"] for row in send(client, "get", "/customers?external_id=acme-1").json()["data"]] == [
        acme.customer.pk
    ]


def test_a_customer_is_upserted_by_the_tenants_own_id(client: APIClient) -> None:
    made = send(client, "put", "/customers/by-external-id/team/7", {"name": "Seven"})
    again = send(client, "put", "/customers/by-external-id/team/7", {"state": "suspended"})
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"]
    found = send(client, "get", "/customers/by-external-id/team/7").json()
    assert (found["name"], found["state"]) == ("Seven", "suspended")


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "multipart/form-data"])
def test_customers_come_from_a_file(client: APIClient, content_type: str) -> None:
    text = "external_id,name,limit_usd,markup_percent\nx,X,10,12.5\ny,,bad,\n"
    if content_type == "text/csv":
        answer = client.post(f"{ROOT}/customers/import", text, content_type=content_type)
    elif content_type == "application/json":
        answer = send(client, "post", "/customers/import", {"csv": text})
    else:
        from django.core.files.uploadedfile import SimpleUploadedFile

        upload = SimpleUploadedFile("customers.csv", text.encode(), content_type="text/csv")
        answer = client.post(f"{ROOT}/customers/import", {"file": upload}, format="multipart")
    report = answer.json()
    assert (answer.status_code, report["created"], report["failed"]) == (200, 1, 1)
    assert Customer.objects.get(external_id="x").markup_bp == 1250
    assert report["lines"][1]["error"]


def test_a_key_is_rotated_with_overlap_and_revoked_at_once(client: APIClient, acme: Holding) -> None:
    path = f"/keys/{acme.key.row.pk}"
    rotated = send(client, "post", f"{path}/rotate", {"overlap_seconds": 600}).json()
    assert rotated["key"] != acme.key.secret
    assert rotated["id"] == acme.key.row.pk
    assert len(rotated["retired_secrets"]) == 1
    revoked = send(client, "post", f"{path}/revoke")
    assert (revoked.status_code, revoked.json()["state"], revoked.json()["pending"]) == (
        200,
        "revoked",
        False,
    )


def test_a_price_is_put_read_and_found_in_the_base_book(client: APIClient) -> None:
    body = {"input_usd_per_mtok": "0.15", "output_usd_per_mtok": "0.60", "extras_usd": {"web_search": "0.01"}}
    put = send(client, "put", "/prices/openai/org/model-1", body)
    assert (put.status_code, put.json()["source"]) == (201, "tenant")
    assert send(client, "put", "/prices/openai/org/model-1", body).status_code == 200
    assert send(client, "get", "/prices/openai/org/model-1").json()["input_usd_per_mtok"] == "0.15"
    assert send(client, "get", "/prices/openai/gpt-4o-mini").json()["source"] != "tenant"
    unknown = send(client, "get", "/prices/openai/nobody-knows")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unpriced_model")
    assert len(send(client, "get", "/prices?provider=openai").json()["data"]) == 1


def test_settings_and_markup(client: APIClient) -> None:
    wanted = {
        "default_budget": {"limit_usd": "5"},
        "unknown_customer": "default_budget",
        "output_minimum": 128,
    }
    changed = send(client, "patch", "/settings", wanted)
    assert changed.status_code == 200
    found = send(client, "get", "/settings").json()
    assert found["default_budget"]["limit_usd"] == "5.00"
    assert (found["output_minimum"], found["pending"]) == (128, False)

    models = [{"model": "gpt-4*", "markup_percent": "50"}]
    markup = send(client, "put", "/markup", {"markup_percent": "20.5", "markup_models": models})
    assert markup.status_code == 200
    assert send(client, "get", "/markup").json()["markup_percent"] == "20.50"


def test_the_audit_log_tells_who_and_what(client: APIClient, acme: Holding) -> None:
    send(client, "patch", f"/budgets/{acme.budget.pk}", {"limit_usd": "3"})
    entries = send(client, "get", f"/audit-log?object_id={acme.budget.pk}").json()["data"]
    assert entries[0]["action"] == "budget.change_limit"
    assert entries[0]["actor_kind"] == "api_key"


def test_a_change_while_redis_is_closed_is_pending(acme: Holding, control: Control, api: Api) -> None:
    answer = send(api(acme.api_key), "post", f"/keys/{acme.key.row.pk}/revoke")
    assert (answer.status_code, answer.json()["pending"]) == (202, True)
    assert Key.objects.get(pk=acme.key.row.pk).revoked_at is not None


def test_a_balance_that_redis_cannot_tell_is_null_and_says_why(
    client: APIClient, acme: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise EnforcementUnavailable("away")

    monkeypatch.setattr(Control, "read_budgets", away)
    found = send(client, "get", f"/budgets/{acme.budget.pk}").json()
    assert (found["spent_usd"], found["available_usd"], found["balance"]) == (None, None, "unavailable")


def test_a_provider_account_is_tried_with_its_own_credential(
    client: APIClient, acme: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 2:
            return httpx.Response(401, json={})
        return httpx.Response(200, json={"data": [{"id": "sim-mini"}]})

    plain = httpx.Client
    monkeypatch.setattr(
        httpx, "Client", lambda **given: plain(transport=httpx.MockTransport(answer), **given)
    )
    with override_settings(FAREBOX_ALLOW_PRIVATE_UPSTREAMS=("127.0.0.1:9100",)):
        ProviderAccount.objects.filter(pk=acme.account.pk).update(base_url="http://127.0.0.1:9100/v1")
        works = send(client, "post", f"/provider-accounts/{acme.account.pk}/test").json()
        refused = send(client, "post", f"/provider-accounts/{acme.account.pk}/test").json()

    assert (works["works"], works["models"]) == (True, ["sim-mini"])
    assert asked[0].url.path == "/v1/models"
    assert asked[0].headers["authorization"] == "Bearer sk-0123456789abcdefghijklmnop"
    assert (refused["works"], refused["code"]) == (False, "provider_auth_failed")
    assert "main" in refused["message"]
    assert acme.account.pk in refused["message"]


def test_an_account_says_whether_prompts_are_counted_by_its_provider(
    client: APIClient, acme: Holding
) -> None:
    made = send(
        client,
        "post",
        "/provider-accounts",
        {
            "provider": "anthropic",
            "name": "claude",
            "api_key": "sk-0123456789abcdefghij",
            "counts_exactly": True,
        },
    ).json()
    assert made["counts_exactly"] is True
    changed = send(client, "patch", f"/provider-accounts/{made['id']}", {"counts_exactly": False}).json()
    assert changed["counts_exactly"] is False
    assert send(client, "get", f"/provider-accounts/{acme.account.pk}").json()["counts_exactly"] is False
    account = ProviderAccount.objects.get(pk=made["id"])
    account.counts_exactly = True
    policy = tenant_policy(
        TenantSettings.objects.get(tenant=acme.tenant, mode="test"), accounts=[account], prices=[], budgets=[]
    )
    assert policy.accounts[0].counts_exactly


# -- keys, scopes, isolation -------------------------------------------------------------------------------------------


def test_a_wrong_key_is_told_what_is_wrong(acme: Holding, api: Api) -> None:
    assert APIClient().get(f"{ROOT}/customers").status_code == 401
    for secret, word in (
        ("nonsense", "typo"),
        (acme.key.secret, "customer key"),
        (acme.api_key[:-1] + ("1" if acme.api_key.endswith("0") else "0"), "typo"),
    ):
        answer = api(secret).get(f"{ROOT}/customers")
        assert answer.status_code == 401
        assert word in answer.json()["detail"]
        assert answer["WWW-Authenticate"].startswith("Bearer")
    Key.objects.filter(kind="api").update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert api(acme.api_key).get(f"{ROOT}/customers").json()["code"] == "key_expired"
    Key.objects.filter(kind="api").update(revoked_at=datetime.now(UTC))
    assert api(acme.api_key).get(f"{ROOT}/customers").json()["code"] == "key_revoked"


def test_a_key_does_what_its_scopes_say_and_no_more(acme: Holding, open_shard: OpenShard, api: Api) -> None:
    open_shard(acme.tenant.pk)
    reader = api(make_api_key(acme.tenant, scopes=("customers:read", "keys:write")))
    assert send(reader, "get", "/customers").status_code == 200
    refused = send(reader, "post", "/customers", {"external_id": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert send(reader, "get", "/budgets").status_code == 403
    # It may make keys, but none that may do more than itself.
    assert send(reader, "post", "/keys", {"kind": "api", "scopes": ["*"]}).status_code == 403
    assert send(reader, "post", "/keys", {"kind": "api", "scopes": ["customers:read"]}).status_code == 201
    full = Key.objects.get(kind="api", scopes=["*"])
    assert send(reader, "post", f"/keys/{full.pk}/rotate").status_code == 403
    inherited = send(reader, "post", "/keys", {"kind": "api"}).json()
    assert inherited["scopes"] == ["customers:read", "keys:write"]


def paths_of(holding: Holding) -> list[tuple[str, str, Any]]:
    """Every way to one of a holding's rows."""
    key = holding.key.row.pk
    return [
        ("get", f"/customers/{holding.customer.pk}", None),
        ("patch", f"/customers/{holding.customer.pk}", {"name": "stolen"}),
        ("get", f"/customers/by-external-id/{holding.customer.external_id}", None),
        ("get", f"/keys/{key}", None),
        ("patch", f"/keys/{key}", {"name": "stolen"}),
        ("post", f"/keys/{key}/revoke", None),
        ("post", f"/keys/{key}/rotate", {}),
        ("get", f"/budgets/{holding.budget.pk}", None),
        ("patch", f"/budgets/{holding.budget.pk}", {"limit_usd": "1"}),
        ("delete", f"/budgets/{holding.budget.pk}", None),
        ("get", f"/provider-accounts/{holding.account.pk}", None),
        ("patch", f"/provider-accounts/{holding.account.pk}", {"state": "disabled"}),
        ("delete", f"/provider-accounts/{holding.account.pk}", None),
        ("post", f"/provider-accounts/{holding.account.pk}/test", None),
    ]


@pytest.mark.parametrize("stranger", ["another tenant", "the same tenant in live"])
def test_somebody_elses_row_is_not_there(
    acme: Holding, globex: Holding, control: Control, api: Api, stranger: str
) -> None:
    secret = globex.api_key if stranger == "another tenant" else make_api_key(acme.tenant, mode="live")
    client = api(secret)
    for method, path, body in paths_of(acme):
        answer = send(client, method, path, body)
        assert (path, answer.status_code) == (path, 404)
        assert answer.json()["code"] == "not_found"
    for listing in (
        "/customers",
        "/keys",
        "/budgets?state=all",
        "/provider-accounts",
        "/prices",
        "/audit-log",
    ):
        assert acme.customer.pk not in (text := send(client, "get", listing).content.decode())
        assert acme.budget.pk not in text
        assert acme.key.row.pk not in text
        assert acme.account.pk not in text
        assert acme.price.pk not in text
    assert (
        send(client, "post", "/budgets", {"customer": acme.customer.pk, "limit_usd": "1"}).status_code == 400
    )
    assert send(client, "post", "/keys", {"customer": acme.customer.pk}).status_code == 400
    assert Budget.objects.get(pk=acme.budget.pk).archived_at is None


def test_a_live_key_makes_live_rows(acme: Holding, open_shard: OpenShard, api: Api) -> None:
    open_shard(acme.tenant.pk)
    client = api(make_api_key(acme.tenant, mode="live"))
    assert send(client, "post", "/customers", {"external_id": "acme-1"}).json()["mode"] == "live"
    assert send(client, "post", "/keys", {"name": "s"}).json()["key"].startswith("fbx_sk_live_")


def test_a_tenants_budget_is_asked_for_by_name(client: APIClient, acme: Holding) -> None:
    answer = send(client, "post", "/budgets", {"scope": "tenant", "limit_usd": "100", "window": "total"})
    assert (answer.status_code, answer.json()["measure"]) == (201, "cost")
    assert answer.json()["window"]["end"] is None
    make_budget(acme.tenant, acme.key.row)
    assert {row["scope"] for row in send(client, "get", "/budgets").json()["data"]} == {
        "tenant",
        "customer",
        "key",
    }


def test_the_schema_and_its_page_need_nobody_elses_host(db: None) -> None:
    schema = APIClient().get("/api/schema").json()
    assert schema["openapi"].startswith("3.1")
    assert f"{ROOT}/budgets/{{budget_id}}" in schema["paths"]
    page = APIClient().get("/api/docs")
    assert page.status_code == 200
    assert "src=" not in page.content.decode()
    assert "budgets_create" in page.content.decode()
