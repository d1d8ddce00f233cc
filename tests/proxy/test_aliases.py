"""Names of the tenant's own for models: served, priced and booked as the model they stand for."""

from __future__ import annotations

import json

import httpx
import msgspec
import openai
import pytest

from enforcement.policies import ProviderAccount
from tests.proxy.conftest import Bill, Proxy, Tenant, code_of
from tests.proxy.echo import Echo
from tests.proxy.messages import account as anthropic_account
from tests.proxy.messages import post as post_messages
from tests.proxy.texts import hold_ids, post, price, record_of


def groq(tenant: Tenant, base_url: str = "") -> ProviderAccount:
    made = tenant.account("groq", base_url=base_url)
    return msgspec.structs.replace(made, provider="groq")


@pytest.fixture
def named(acme: Tenant) -> Tenant:
    """Acme, where ``fast`` stands for a model at an account that is not the default."""
    acme.publish(
        accounts=(acme.account("main", default=True), groq(acme)),
        prices=price("sim-mini", provider="groq"),
        model_aliases={"fast": "groq/sim-mini"},
    )
    return acme


def test_a_name_is_served_as_the_model_it_stands_for(proxy: Proxy, named: Tenant, bill: Bill) -> None:
    budget = named.budget()
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=named.key(named.customer(budget))) as client:
        chat = client.chat.completions.create(model="fast", messages=[{"role": "user", "content": "hi"}])
        embedded = client.embeddings.create(model="fast", input="a b")
        listed = {model.id: model for model in client.models.list()}
        one = client.models.retrieve("fast")
    assert (chat.model, embedded.model) == ("sim-mini", "sim-mini")  # the answer says the real one
    rows = named.rows()
    assert [(body.model, body.provider, body.price_id) for _, _, _, body in rows] == [
        ("sim-mini", "groq", named.policy.prices[0].price_id)
    ] * 2
    assert [cost for _, _, cost, _ in rows] == [
        record_of(bill, hold)["billed_nanousd"] for hold in hold_ids(named)
    ]
    assert [record_of(bill, hold)["model"] for hold in hold_ids(named)] == ["sim-mini"] * 2
    assert one == listed["fast"]
    assert one.model_extra is not None
    ours = one.model_extra["farebox"]
    assert (ours["account"], ours["model"], ours["price_id"]) == (
        "groq",
        "sim-mini",
        named.policy.prices[0].price_id,
    )


def test_what_a_key_may_call_is_judged_by_the_real_model(proxy: Proxy, named: Tenant) -> None:
    customer = named.customer(named.budget())
    refused = post(proxy, named.key(customer, models_allowed=("fast",)), "embeddings", "fast", input="a")
    assert code_of(refused) == (403, "model_not_allowed")
    allowed = named.key(customer, models_allowed=("groq/*",))
    assert post(proxy, allowed, "embeddings", "fast", input="a").status_code == 200
    listed = httpx.get(f"{proxy.url}/v1/models", headers={"authorization": f"Bearer {allowed}"}).json()[
        "data"
    ]
    assert "fast" in [model["id"] for model in listed]


def test_names_are_no_chain(proxy: Proxy, named: Tenant) -> None:
    named.publish(model_aliases={"fast": "groq/sim-mini", "faster": "fast"})
    answer = post(proxy, named.key(named.customer(named.budget())), "embeddings", "faster", input="a")
    assert code_of(answer) == (400, "unpriced_model")


def test_a_name_that_is_taken_away_is_gone_for_the_next_request(proxy: Proxy, named: Tenant) -> None:
    key = named.key(named.customer(named.budget()))
    assert post(proxy, key, "embeddings", "fast", input="a").status_code == 200
    named.publish(model_aliases={})
    assert code_of(post(proxy, key, "embeddings", "fast", input="a")) == (400, "unpriced_model")


def test_a_name_leads_where_its_route_speaks(proxy: Proxy, named: Tenant) -> None:
    named.publish(
        accounts=(*named.policy.accounts, anthropic_account(named)),
        prices=(*named.policy.prices, *price("sim-mini")),
        model_aliases={"fast": "groq/sim-mini", "wise": "claude/sim-mini"},
    )
    key = named.key(named.customer(named.budget()))
    wise = post_messages(proxy, key, "wise")
    assert (wise.status_code, wise.json()["model"]) == (200, "sim-mini")
    assert post(proxy, key, "embeddings", "wise", input="a").status_code == 404
    assert post_messages(proxy, key, "fast").status_code == 404
    listed = httpx.get(f"{proxy.url}/anthropic/v1/models", headers={"x-api-key": key}).json()["data"]
    assert [model["id"] for model in listed] == ["sim-mini", "wise"]


def test_only_the_models_name_is_changed_on_the_way(proxy: Proxy, acme: Tenant, echo: Echo) -> None:
    acme.publish(
        accounts=(groq(acme, echo.base_url),),
        prices=price("sim-mini", provider="groq"),
        model_aliases={"fast": "sim-mini"},
    )
    key = acme.key(acme.customer(acme.budget()))
    post(proxy, key, "completions", "fast", prompt="a", max_tokens=3, logit_bias={"50256": -100})
    assert json.loads(echo.bodies[-1]) == {
        "model": "sim-mini",
        "prompt": "a",
        "max_tokens": 3,
        "logit_bias": {"50256": -100},
    }
