"""Who may not call is told why, with a code that stays; and nothing of it reaches a provider."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from enforcement.keyring import make_key
from tests.proxy.conftest import Bill, Proxy, Tenant, code_of, wait_for

Chat = Callable[..., httpx.Response]


@pytest.fixture(autouse=True)
def _nothing_is_sent(bill: Bill) -> Iterator[None]:
    before = bill.last()
    yield
    assert bill.records(after=before) == []


def test_a_mistyped_a_foreign_and_an_unknown_key_are_told_apart(
    acme: Tenant, chat: Chat, proxy: Proxy
) -> None:
    key = acme.key(acme.customer(acme.budget()))
    typo = chat(key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert code_of(typo) == (401, "invalid_key")
    assert "mistyped" in typo.json()["error"]["message"]
    unknown = chat(make_key("ck", "test", acme.tenant_id, 12345))
    assert code_of(unknown) == (401, "invalid_key")
    api_key = chat(make_key("ak", "test", acme.tenant_id, 12345))
    assert "/api/v1" in api_key.json()["error"]["message"]
    nothing = httpx.post(f"{proxy.url}/v1/chat/completions", json={})
    assert code_of(nothing) == (401, "invalid_key")


def test_every_way_to_present_a_key_is_read(acme: Tenant, proxy: Proxy) -> None:
    key = acme.key(acme.customer(acme.budget()))
    for name, value in (("authorization", f"bearer {key}"), ("x-api-key", key), ("x-goog-api-key", key)):
        assert httpx.get(f"{proxy.url}/v1/models", headers={name: value}).status_code == 200


def test_a_revoked_key_is_refused_at_once(acme: Tenant, chat: Chat) -> None:
    budget = acme.budget("0.0000001")
    customer = acme.customer(budget)
    key = acme.key(customer)
    assert code_of(chat(key)) == (402, "budget_exceeded")  # and its policy is in memory
    acme.publish_key(key, customer, state="revoked")
    assert code_of(chat(key)) == (401, "key_revoked")
    acme.publish_key(key, customer)
    assert code_of(chat(key)) == (402, "budget_exceeded")


def test_a_revoked_key_lists_no_models(acme: Tenant, proxy: Proxy) -> None:
    customer = acme.customer(acme.budget())
    key = acme.key(customer)

    def models() -> httpx.Response:
        return httpx.get(f"{proxy.url}/v1/models", headers={"x-api-key": key})

    assert models().status_code == 200  # and its policy is in memory
    acme.publish_key(key, customer, state="revoked")
    assert code_of(models()) == (401, "key_revoked")


def test_a_key_that_was_unknown_a_moment_ago_is_known_at_once(acme: Tenant, chat: Chat) -> None:
    customer = acme.customer(acme.budget("0.0000001"))
    key = make_key("ck", "test", acme.tenant_id, secrets.randbits(195))
    assert code_of(chat(key)) == (401, "invalid_key")
    acme.publish_key(key, customer)
    assert code_of(chat(key)) == (402, "budget_exceeded")


def test_an_expired_key_is_refused(acme: Tenant, chat: Chat) -> None:
    key = acme.key(acme.customer(acme.budget()), expires_ms=int(time.time() * 1000) - 1)
    assert code_of(chat(key)) == (401, "key_expired")


def test_customers_that_may_not_call(acme: Tenant, chat: Chat) -> None:
    suspended = acme.key(acme.customer(acme.budget(), state="suspended"))
    assert code_of(chat(suspended)) == (403, "customer_suspended")
    server = acme.key()
    assert code_of(chat(server)) == (400, "customer_required")
    assert code_of(chat(server, headers={"Farebox-Customer": "nobody"})) == (403, "customer_unknown")
    for unheard_of in (
        "x" * 201,
        "a\tb",
    ):  # the control plane would make no row of it, and nobody would be billed
        assert code_of(chat(server, headers={"Farebox-Customer": unheard_of})) == (400, "invalid_request")
    acme.publish(state="suspended")
    assert code_of(chat(server, headers={"Farebox-Customer": "nobody"})) == (403, "tenant_suspended")


def test_models_that_may_not_be_used(acme: Tenant, chat: Chat) -> None:
    customer = acme.customer(acme.budget())
    assert code_of(chat(acme.key(customer, models_allowed=("gpt-*",)))) == (403, "model_not_allowed")
    key = acme.key(customer)
    unpriced = chat(key, "sim-words-77")
    assert code_of(unpriced) == (400, "unpriced_model")
    assert "PUT /api/v1/prices/simulator/sim-words-77" in unpriced.json()["error"]["message"]
    acme.publish(accounts=())
    missing = chat(key)
    assert code_of(missing) == (404, "no_provider_account")
    assert "POST /api/v1/provider-accounts" in missing.json()["error"]["message"]


def test_bodies_that_cannot_be_served(acme: Tenant, chat: Chat, proxy: Proxy) -> None:
    key = acme.key(acme.customer(acme.budget()))
    assert code_of(chat(key, messages="x")) == (400, "invalid_request")
    assert chat(key, messages="x").json()["error"]["param"] == "messages"
    assert code_of(chat(key, web_search_options={"a": 1})) == (400, "uncountable")
    headers = {"authorization": f"Bearer {key}"}
    url = f"{proxy.url}/v1/chat/completions"
    assert code_of(httpx.post(url, content=b"{", headers=headers)) == (400, "invalid_request")
    assert code_of(httpx.post(url, content=b"x" * (33 << 20), headers=headers)) == (413, "body_too_large")
    assert code_of(chat(key, headers={"Farebox-Tags": "nonsense"})) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "says"),
    [
        ("POST", "/v1/nothing", "POST /v1/embeddings"),
        ("DELETE", "/v1/models/sim-mini", "GET /v1/models"),
        ("GET", "/v1/chat/completions", "not served here"),
        ("POST", "/v1/chat/completions/", "not served here"),
        ("POST", "/v1//chat/completions", "not served here"),
    ],
)
def test_a_route_that_nobody_wrote_is_refused(proxy: Proxy, method: str, path: str, says: str) -> None:
    with httpx.Client() as client:
        request = client.build_request(method, proxy.url)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = client.send(request)
    assert code_of(answer) == (404, "unsupported_route")
    assert says in answer.json()["error"]["message"]


def test_an_exhausted_budget_says_what_is_left_and_when_it_turns(acme: Tenant, chat: Chat) -> None:
    budget = acme.budget("0.000001")
    answer = chat(acme.key(acme.customer(budget)))
    assert code_of(answer) == (402, "budget_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert (error["budget_id"], error["limit_usd"], error["left_usd"]) == (
        budget.budget_id,
        "0.000001",
        "0.000001",
    )
    assert error["resets_at"].endswith("-01T00:00:00Z")
    assert acme.rows() == []


def test_the_probes_answer(proxy: Proxy) -> None:
    assert httpx.get(f"{proxy.url}/healthz").json() == {"status": "alive"}
    assert httpx.get(f"{proxy.url}/readyz").json() == {"status": "ready"}
    text = httpx.get(f"{proxy.url}/metrics").text
    # The canary at the least; of the shard its tenant would have, nobody here has opened the most.
    denied = json.loads(proxy.log.read_text().splitlines()[0])["code"]
    assert denied in {"invalid_key", "enforcement_unavailable"}
    assert f'farebox_requests_total{{code="{denied}"}}' in text
    wait_for(lambda: proxy.metric("farebox_open_holds") == 0)
