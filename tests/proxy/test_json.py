"""A whole answer: served, counted, settled, and told what it cost."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import msgspec
import pytest

from enforcement.policies import CustomerPolicy, PublishedPrice
from metering.ids import make_id
from metering.money import parse_usd
from tests.proxy.conftest import SIM_KEY, Bill, Proxy, Tenant, sim_prices
from tests.proxy.echo import Echo

Chat = Callable[..., httpx.Response]


def test_a_call_is_served_and_settled_at_what_the_provider_reports(
    acme: Tenant, chat: Chat, bill: Bill
) -> None:
    budget = acme.budget()
    key = acme.key(acme.customer(budget))
    answer = chat(key)
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    cost = usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 2000
    assert acme.spent(budget) == (cost, 0)
    [(kind, basis, booked, body)] = acme.rows()
    assert (kind, basis, booked) == ("settled", "reported", cost)
    assert body.usage == {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]}
    assert (body.end, body.upstream_status, body.provider) == ("complete", 200, "simulator")
    assert parse_usd(answer.headers["farebox-cost-usd"]) == cost
    assert parse_usd(answer.headers["farebox-remaining-usd"]) == parse_usd("10.00") - cost
    assert parse_usd(answer.headers["farebox-quote-usd"]) >= cost
    assert answer.headers["farebox-request-id"] == body.request_id
    assert answer.headers["farebox-output-cap"] == "4096"


def test_a_body_that_names_its_cap_is_forwarded_byte_for_byte(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    key = acme.key(acme.customer(acme.budget()))
    body = b'{ "model":"sim-mini",\n "max_tokens": 7, "messages":[{"role":"user","content":"h\\u00e9"}], "user":"u" }'
    answer = httpx.post(
        f"{proxy.url}/v1/chat/completions", content=body, headers={"authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200, answer.text
    assert echo.bodies[-1] == body
    assert "farebox-output-cap" not in answer.headers


def test_what_must_change_is_changed_and_nothing_else(acme: Tenant, chat: Chat, echo: Echo) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    key = acme.key(acme.customer(acme.budget()))
    assert chat(key, "main/sim-mini", temperature=0.25, logit_bias={"50256": -100}).status_code == 200
    sent = json.loads(echo.bodies[-1])
    assert sent == {
        "model": "sim-mini",
        "messages": [{"role": "user", "content": "Say hello"}],
        "temperature": 0.25,
        "logit_bias": {"50256": -100},
        "max_tokens": 4096,
    }


def test_the_cap_is_sent_in_openais_own_spelling_to_openai(acme: Tenant, chat: Chat, echo: Echo) -> None:
    import msgspec

    account = msgspec.structs.replace(
        acme.account("main", default=True, base_url=echo.base_url), provider="openai"
    )
    acme.publish(accounts=(account,), prices=sim_prices("openai"))
    key = acme.key(acme.customer(acme.budget()))
    assert chat(key).status_code == 200
    assert json.loads(echo.bodies[-1])["max_completion_tokens"] == 4096
    assert chat(key, max_tokens=5).status_code == 200
    sent = json.loads(echo.bodies[-1])
    assert sent["max_tokens"] == 5
    assert "max_completion_tokens" not in sent


def test_a_cap_is_sent_in_the_spelling_that_the_provider_obeys(acme: Tenant, chat: Chat, echo: Echo) -> None:
    """Some who know ``max_tokens`` alone pass over the newer spelling: nothing would cap what was quoted."""
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    key = acme.key(acme.customer(acme.budget()))
    assert chat(key, max_completion_tokens=5, max_tokens=None).status_code == 200
    sent = json.loads(echo.bodies[-1])
    assert sent["max_tokens"] == 5
    assert "max_completion_tokens" not in sent


def test_a_providers_headers_and_a_callers_headers_stay_where_they_belong(
    acme: Tenant, chat: Chat, echo: Echo
) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    key = acme.key(acme.customer(acme.budget()))
    answer = chat(
        key, headers={"cookie": "a=b", "openai-organization": "org-x", "openai-beta": "assistants=v2"}
    )
    head = echo.heads[-1].lower()
    assert b"authorization: bearer " + SIM_KEY.encode() in head
    assert key.encode() not in head
    assert b"cookie" not in head
    assert b"openai-organization" not in head
    assert b"openai-beta: assistants=v2" in head
    assert b"accept-encoding: identity" in head
    assert "set-cookie" not in answer.headers
    assert "x-secret" not in answer.headers


def test_a_tight_budget_that_may_clamp_lowers_the_cap_and_says_so(
    acme: Tenant, chat: Chat, bill: Bill
) -> None:
    budget = acme.budget("0.011", on_exhaustion="clamp")
    key = acme.key(acme.customer(budget))
    answer = chat(key, "sim-exact", max_tokens=5000)
    assert answer.status_code == 200, answer.text
    cap = int(answer.headers["farebox-output-cap"])
    assert 256 <= cap < 5000
    assert answer.json()["usage"]["completion_tokens"] == cap
    [(_, _, _, body)] = acme.rows()
    assert (body.output_cap, body.output_cap_source) == (cap, "clamped")
    assert acme.spent(budget)[0] <= parse_usd("0.011")


def test_cached_tokens_are_priced_as_cached(acme: Tenant, chat: Chat) -> None:
    budget = acme.budget()
    answer = chat(
        acme.key(acme.customer(budget)), "sim-cached-10", messages=[{"role": "user", "content": "w " * 40}]
    )
    usage = answer.json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert cached == 10
    cost = (usage["prompt_tokens"] - 10) * 1000 + 10 * 250 + usage["completion_tokens"] * 2000
    assert acme.spent(budget) == (cost, 0)


def test_a_server_key_names_its_customer_and_tags_reach_the_row(acme: Tenant, chat: Chat) -> None:
    from metering.ids import derived_id

    budget = acme.budget()
    customer_id = derived_id("cus", acme.tenant_id, "test", "their-42")
    acme.control.publish_customer(
        acme.scope,
        CustomerPolicy(customer_id, budgets=(budget,)),
        external_id="their-42",
        version=acme.version + 1,
    )
    key = acme.key()
    headers = {
        "Farebox-Customer": "their-42",
        "Farebox-Tags": "feature=search, env=prod",
        "Farebox-Run": "run-7",
    }
    assert chat(key, headers=headers).status_code == 200
    [(_, _, _, body)] = acme.rows()
    assert (body.customer_id, body.tags, body.run_id) == (
        customer_id,
        {"feature": "search", "env": "prod"},
        "run-7",
    )


def test_the_models_a_caller_may_use_are_listed(acme: Tenant, proxy: Proxy) -> None:
    key = acme.key(acme.customer(acme.budget()), models_allowed=("sim-m*",))
    answer = httpx.get(f"{proxy.url}/v1/models", headers={"authorization": f"Bearer {key}"})
    assert [model["id"] for model in answer.json()["data"]] == ["sim-midstream-error", "sim-mini"]


@pytest.mark.parametrize(("provider", "bound_class"), [("openai", "exact"), ("my-server", "hard")])
def test_a_models_name_says_nothing_where_somebody_else_serves_it(
    acme: Tenant, chat: Chat, echo: Echo, provider: str, bound_class: str
) -> None:
    account = msgspec.structs.replace(
        acme.account("main", default=True, base_url=echo.base_url), provider=provider
    )
    price = PublishedPrice(make_id("pri", 998), provider, "gpt-4o", 0, {"input": 10**9, "output": 10**9})
    acme.publish(accounts=(account,), prices=(price,))
    assert chat(acme.key(acme.customer(acme.budget())), "gpt-4o").status_code == 200
    assert [body.bound_class for _, _, _, body in acme.rows()] == [bound_class]
