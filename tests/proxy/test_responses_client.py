"""The unmodified official client's Responses: change base URL and key, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

from tests.proxy.conftest import Bill, Proxy, Tenant, wait_for
from tests.proxy.responses import TOOLS, price

MODELS = ("sim-mini", "sim-tools", "sim-json", "sim-cut-5", "sim-midstream-error", "sim-drip-20-words-100")


class City(pydantic.BaseModel):
    """A place."""

    name: str
    people: int


@pytest.fixture
def client(proxy: Proxy, acme: Tenant) -> Iterator[openai.OpenAI]:
    price(acme, *MODELS)
    key = acme.key(acme.customer(acme.budget()))
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as made:
        yield made


def test_a_whole_answer_and_a_stream(client: openai.OpenAI, acme: Tenant) -> None:
    answer = client.responses.create(model="sim-mini", input="Say hello", instructions="Be kind")
    assert answer.output_text
    assert answer.usage is not None
    kinds = [event.type for event in client.responses.create(model="sim-mini", input="Hi", stream=True)]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    with client.responses.stream(model="sim-mini", input="Hi") as events:
        spoken = "".join(one.delta for one in events if one.type == "response.output_text.delta")
        assert events.get_final_response().output_text == spoken != ""
    assert [basis for _, basis, _, _ in acme.rows()] == ["reported"] * 3


def test_a_tool_is_called_and_its_result_goes_back(client: openai.OpenAI, acme: Tenant) -> None:
    tools: Any = TOOLS
    answer = client.responses.create(model="sim-tools", input="Hi", tools=tools)
    [called] = answer.output
    assert called.type == "function_call"
    assert (called.name, json.loads(called.arguments)) == ("f", {"answer": "tok1 tok2"})
    turns: Any = [
        {"role": "user", "content": "Hi"},
        called.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": called.call_id, "output": "It is done"},
    ]
    assert client.responses.create(model="sim-mini", input=turns, tools=tools).output_text
    with client.responses.stream(model="sim-tools", input="Hi", tools=tools) as events:
        [streamed] = events.get_final_response().output
    assert streamed.type == "function_call"
    assert {(basis, body.bound_class) for _, basis, _, body in acme.rows()} == {("reported", "exact")}


@pytest.mark.parametrize("stream", [False, True])
def test_a_structured_answer_is_parsed(client: openai.OpenAI, acme: Tenant, stream: bool) -> None:
    if stream:
        with client.responses.stream(model="sim-json", input="Hi", text_format=City) as events:
            parsed = events.get_final_response().output_parsed
    else:
        parsed = client.responses.parse(model="sim-json", input="Hi", text_format=City).output_parsed
    assert parsed == City(name="tok1 tok2", people=1)
    [(_, basis, cost, body)] = acme.rows()
    assert basis == "reported"
    assert cost <= body.quote_cost_nanousd


async def test_the_async_client(proxy: Proxy, acme: Tenant) -> None:
    key = price(acme).key(acme.customer(acme.budget()))
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key) as client:
        answer = await client.responses.create(model="sim-mini", input="Hi")
        assert answer.output_text
        stream = await client.responses.create(model="sim-mini", input="Hi", stream=True)
        assert [event async for event in stream]


def test_counting_and_compacting(client: openai.OpenAI, acme: Tenant) -> None:
    assert client.responses.input_tokens.count(model="sim-mini", input="one two").input_tokens == 8
    assert client.responses.compact(model="sim-mini", input="one two").usage.input_tokens == 8
    assert [basis for _, basis, _, _ in acme.rows()] == ["none", "reported"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_exhausted_budget_is_asked_for_once(proxy: Proxy, acme: Tenant, bill: Bill, stream: bool) -> None:
    name = 'farebox_requests_total{code="budget_exceeded"}'
    before, sent = proxy.metric(name), bill.last()
    key = price(acme).key(acme.customer(acme.budget("0.000001")))
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=5)
    with client, pytest.raises(openai.APIStatusError) as raised:
        client.responses.create(model="sim-mini", input="Hi", stream=stream)
    assert (raised.value.status_code, raised.value.code) == (402, "budget_exceeded")
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert proxy.metric(name) == before + 1
    assert bill.last() == sent


def test_stored_answers_are_nobodys_to_read_here(client: openai.OpenAI, bill: Bill) -> None:
    sent = bill.last()
    for call in (
        lambda: client.responses.retrieve("resp_1"),
        lambda: client.responses.cancel("resp_1"),
        lambda: client.responses.delete("resp_1"),
        lambda: client.responses.input_items.list("resp_1"),
    ):
        with pytest.raises(openai.NotFoundError, match="stored at the provider") as raised:
            call()
        assert raised.value.code == "unsupported_route"
    assert bill.last() == sent


def test_refusals_and_faults_raise_the_clients_own_errors(client: openai.OpenAI, acme: Tenant) -> None:
    with pytest.raises(openai.BadRequestError, match="ask for 'stream'") as refused:
        client.responses.create(model="sim-mini", input="Hi", background=True)
    assert refused.value.code == "invalid_request"
    with pytest.raises(openai.BadRequestError) as unbounded:
        client.responses.create(model="sim-mini", input="Hi", previous_response_id="resp_1")
    assert unbounded.value.code == "uncountable"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="fbx_ck_test_nonsense").responses.create(model="sim-mini", input="Hi")
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.responses.create(model="sim-cut-5", input="Hi", stream=True))
    *_, last = client.responses.create(model="sim-midstream-error", input="Hi", stream=True)
    assert last.type == "error"
    assert [(basis, body.end) for _, basis, _, body in acme.rows()] == [
        ("unresolved", "cut"),
        ("estimated", "error_inside"),
    ]


def test_a_client_that_hangs_up_pays_for_what_was_used(
    client: openai.OpenAI, acme: Tenant, bill: Bill
) -> None:
    stream = client.responses.create(model="sim-drip-20-words-100", input="Hi", stream=True)
    next(iter(stream))
    stream.close()
    [(_, basis, cost, body)] = wait_for(acme.rows)
    assert (basis, body.end) == ("reported", "client_gone")
    assert cost == bill.records()[-1]["billed_nanousd"]
