"""Embeddings through the proxy: bounded exactly, billed by the prompt alone, passed on as they come."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from metering.money import parse_usd
from proxy.providers.completions import OpenAICompletions
from proxy.providers.embeddings import OpenAIEmbeddings
from tests.proxy.conftest import Bill, Proxy, Tenant, code_of
from tests.proxy.echo import Echo
from tests.proxy.texts import account, hold_ids, post, price, record_of

ANSWER = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAAA="}],
    "model": "text-embedding-3-small",
}


def test_the_official_client_gets_its_vectors(proxy: Proxy, acme: Tenant, bill: Bill) -> None:
    budget = acme.budget()
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=acme.key(acme.customer(budget)))
    with client:
        answer = client.embeddings.create(model="sim-mini", input=["hello big world", "again"], dimensions=4)
        assert [len(one.embedding) for one in answer.data] == [4, 4]
        plain = client.embeddings.create(model="sim-mini", input=[[1, 2], [3]], encoding_format="float")
        assert plain.usage.prompt_tokens == 3
    assert acme.spent(budget) == (7000, 0)
    assert [(basis, cost, body.usage) for _, basis, cost, body in acme.rows()] == [
        ("reported", 4000, {"input": 4}),
        ("reported", 3000, {"input": 3}),
    ]
    assert [record_of(bill, hold)["billed_nanousd"] for hold in hold_ids(acme)] == [4000, 3000]


async def test_the_async_client(proxy: Proxy, acme: Tenant) -> None:
    key = acme.key(acme.customer(acme.budget()))
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key) as client:
        assert (await client.embeddings.create(model="sim-mini", input="one")).usage.total_tokens == 1


def test_an_exact_bound_is_held_and_used_to_the_token(proxy: Proxy, acme: Tenant) -> None:
    answer = post(proxy, acme.key(acme.customer(acme.budget())), "embeddings", "sim-mini", input=["a b", "c"])
    assert answer.headers["farebox-quote-usd"] == answer.headers["farebox-cost-usd"] == "0.000003"
    assert "farebox-output-cap" not in answer.headers
    [(_, _, _, body)] = acme.rows()
    assert (body.bound_class, body.quoted_input_tokens, body.output_cap) == ("exact", 3, 0)


def test_a_refusal_at_a_limit_is_asked_for_once_and_goes_nowhere(
    proxy: Proxy, acme: Tenant, bill: Bill
) -> None:
    name = 'farebox_requests_total{code="budget_exceeded"}'
    before, sent = proxy.metric(name), bill.last()
    key = acme.key(acme.customer(acme.budget("0.000002")))
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=5)
    with client, pytest.raises(openai.APIStatusError) as raised:
        client.embeddings.create(model="sim-mini", input="three words here")
    assert (raised.value.status_code, raised.value.code) == (402, "budget_exceeded")
    assert proxy.metric(name) == before + 1
    assert bill.last() == sent


@pytest.mark.parametrize(
    ("model", "kind", "basis", "cost"),
    [
        ("sim-nousage", "settled", "estimated", 5000),
        ("sim-zerousage", "settled", "estimated", 5000),
        ("sim-usage-total-only", "settled", "reported", 5000),
        ("sim-usage-total-more", "settled", "reported", 8000),
        ("sim-usage-total-less", "settled", "estimated", 5000),
        ("sim-cached-2", "settled", "reported", 3500),
        ("sim-error-429", "released", "none", 0),
        ("sim-error-500", "unresolved", "unresolved", 5000),
    ],
)
def test_whatever_a_provider_reports_the_books_are_never_below_its_bill(
    proxy: Proxy, acme: Tenant, bill: Bill, model: str, kind: str, basis: str, cost: int
) -> None:
    budget = acme.budget()
    acme.publish(prices=price(model))
    post(proxy, acme.key(acme.customer(budget)), "embeddings", model, input="a b c d e")
    [(_, booked_basis, booked, _)] = acme.rows()
    assert (booked_basis, booked) == (basis, cost)
    assert acme.spent(budget) == (cost, 0)
    assert booked >= record_of(bill, hold_ids(acme)[0])["billed_nanousd"]


def test_bodies_and_vectors_pass_byte_for_byte(proxy: Proxy, acme: Tenant, echo: Echo) -> None:
    acme.publish(
        accounts=(account(acme, "openai", base_url=echo.base_url),),
        prices=price("text-embedding-3-small", provider="openai"),
    )
    echo.pieces = [json.dumps({**ANSWER, "usage": {"prompt_tokens": 2, "total_tokens": 2}}).encode()]
    sent = b'{ "model":"text-embedding-3-small",\n "input":"hello world", "encoding_format":"base64","user":"u" }'
    key = acme.key(acme.customer(acme.budget()))
    answer = httpx.post(
        f"{proxy.url}/v1/embeddings", content=sent, headers={"authorization": f"Bearer {key}"}
    )
    assert answer.content == echo.pieces[0]
    assert echo.bodies == [sent]
    assert echo.heads[0].startswith(b"POST /v1/embeddings HTTP/1.1")
    assert parse_usd(answer.headers["farebox-quote-usd"]) == parse_usd(answer.headers["farebox-cost-usd"])
    [(_, _, cost, body)] = acme.rows()
    assert (cost, body.bound_class, body.response_model) == (2000, "exact", "text-embedding-3-small")


@pytest.mark.parametrize("provider", ["mistral", "voyageai", "openrouter", "together", "local"])
def test_any_provider_that_speaks_it_is_served_under_its_own_account(
    proxy: Proxy, acme: Tenant, provider: str
) -> None:
    own = account(acme, provider, name="other")
    acme.publish(
        accounts=(acme.account("main", default=True), own), prices=price("sim-mini", provider=provider)
    )
    key = acme.key(acme.customer(acme.budget()))
    assert post(proxy, key, "embeddings", "other/sim-mini", input="a b").status_code == 200
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost, body.provider, body.model) == ("reported", 2000, provider, "sim-mini")


def test_a_deployment_stands_in_the_path_where_its_provider_wants_it_there() -> None:
    for dialect, route in ((OpenAIEmbeddings(), "embeddings"), (OpenAICompletions(), "completions")):
        plain = dialect.path_for("my dep", dialect.traits_of("openai"))
        deployed = dialect.path_for("my dep", dialect.traits_of("azure-deployments"))
        assert plain == f"/{route}"
        assert deployed.startswith(f"/deployments/my%20dep/{route}?api-version=")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"input": []}, "invalid_request"),
        ({"input": "a", "messages": []}, "uncountable"),
        ({"input": [{"type": "image_url"}]}, "uncountable"),
        ({}, "invalid_request"),
        ({"input": "a", "model": "nobody-priced-it"}, "unpriced_model"),
    ],
)
def test_what_cannot_be_bounded_is_refused(
    proxy: Proxy, acme: Tenant, bill: Bill, fields: dict[str, Any], code: str
) -> None:
    before = bill.last()
    key = acme.key(acme.customer(acme.budget()))
    answer = post(proxy, key, "embeddings", **{"model": "sim-mini", **fields})
    assert code_of(answer) == (400, code)
    assert bill.last() == before


@pytest.mark.parametrize(
    ("body", "basis"),
    [
        (b"not json at all", "estimated"),
        (b'{"error":{"message":"over"}}', "estimated"),
        (b'{"data":[1],"usage":"free"}', "estimated"),
        (b'{"data":[1],"model":5,"usage":{"prompt_tokens":2,"total_tokens":2}}', "reported"),
        (b'{"data":[1],"usage":null}', "estimated"),
    ],
)
def test_an_answer_that_is_none_is_booked_at_what_was_held(
    proxy: Proxy, acme: Tenant, echo: Echo, body: bytes, basis: str
) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    echo.pieces = [body]
    assert (
        post(proxy, acme.key(acme.customer(acme.budget())), "embeddings", "sim-mini", input="a b").content
        == body
    )
    [(_, found, cost, _)] = acme.rows()
    assert (found, cost) == (basis, 2000)
