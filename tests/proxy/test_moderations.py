"""Moderations through the proxy: a call with a hold and a row, at a price of zero that somebody published."""

from __future__ import annotations

import json

import openai
import pytest

from enforcement.policies import PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import Bill, Proxy, Tenant, code_of
from tests.proxy.echo import Echo
from tests.proxy.texts import account, hold_ids, post, record_of


@pytest.fixture
def moderated(acme: Tenant) -> Tenant:
    """Acme with an account of OpenAI's, whose moderation models are free, and no price of its own."""
    acme.publish(accounts=(account(acme, "openai"),), prices=())
    return acme


def test_the_official_client_is_served_at_a_price_of_zero(
    proxy: Proxy, moderated: Tenant, bill: Bill
) -> None:
    budget = moderated.budget("0.00")
    key = moderated.key(moderated.customer(budget))
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key) as client:
        named = client.moderations.create(model="omni-moderation-latest", input=["a", "b"])
        assert [one.flagged for one in named.results] == [False, False]
        unnamed = client.moderations.create(input="a")
        assert unnamed.model == "omni-moderation-latest"
    assert moderated.spent(budget) == (0, 0)
    rows = moderated.rows()
    assert [(kind, cost, body.model) for kind, _, cost, body in rows] == [
        ("settled", 0, "omni-moderation-latest")
    ] * 2
    assert {body.price_id for _, _, _, body in rows} == {"farebox/free/openai/omni-moderation-latest/2026-11"}
    assert [record_of(bill, hold)["billed_nanousd"] for hold in hold_ids(moderated)] == [0, 0]


@pytest.mark.parametrize("model", ["omni-moderation-2030-01-01", "moderation", "gpt-4o"])
def test_a_model_that_nobody_called_free_is_refused_or_priced(
    proxy: Proxy, moderated: Tenant, bill: Bill, model: str
) -> None:
    before = bill.last()
    answer = post(
        proxy, moderated.key(moderated.customer(moderated.budget("0.00"))), "moderations", model, input="a"
    )
    expected = (402, "budget_exceeded") if model == "gpt-4o" else (400, "unpriced_model")
    assert code_of(answer) == expected
    assert bill.last() == before


def test_a_free_model_is_not_free_on_a_route_that_makes_output(
    proxy: Proxy, moderated: Tenant, bill: Bill
) -> None:
    before = bill.last()
    key = moderated.key(moderated.customer(moderated.budget()))
    messages = [{"role": "user", "content": "hi"}]
    answer = post(proxy, key, "chat/completions", "omni-moderation-latest", messages=messages)
    assert code_of(answer) == (400, "unpriced_model")
    assert bill.last() == before


def test_the_model_that_was_priced_is_the_one_that_is_sent(
    proxy: Proxy, moderated: Tenant, echo: Echo
) -> None:
    moderated.publish(accounts=(account(moderated, "openai", base_url=echo.base_url),))
    echo.pieces = [b'{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":true}]}']
    key = moderated.key(moderated.customer(moderated.budget()))
    assert post(proxy, key, "moderations", None, input="a").content == echo.pieces[0]
    assert json.loads(echo.bodies[-1]) == {"input": "a", "model": "omni-moderation-latest"}


def test_a_provider_that_bills_them_is_booked_as_it_reports(proxy: Proxy, acme: Tenant, echo: Echo) -> None:
    cheap = PublishedPrice(make_id("pri", 3000), "mistral", "mistral-moderation-latest", 0, {"input": 10**8})
    acme.publish(accounts=(account(acme, "mistral", base_url=echo.base_url),), prices=(cheap,))
    usage = {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": 0}
    echo.pieces = [json.dumps({"results": [{}], "usage": usage}).encode()]
    budget = acme.budget()
    answer = post(
        proxy, acme.key(acme.customer(budget)), "moderations", "mistral-moderation-latest", input="a b"
    )
    assert answer.status_code == 200
    assert acme.spent(budget) == (900, 0)
    assert [(basis, body.usage) for _, basis, _, body in acme.rows()] == [("reported", {"input": 9})]


def test_moderations_are_limited_and_refused_like_any_call(proxy: Proxy, moderated: Tenant) -> None:
    key = moderated.key(moderated.customer(moderated.budget()), models_allowed=("gpt-*",))
    answer = post(proxy, key, "moderations", "omni-moderation-latest", input="a")
    assert code_of(answer) == (403, "model_not_allowed")
    empty = post(proxy, key, "moderations", "omni-moderation-latest", input=[])
    assert code_of(empty) == (400, "invalid_request")
