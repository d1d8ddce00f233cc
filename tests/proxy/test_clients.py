"""The unmodified official client: change base URL and key, nothing else."""

from __future__ import annotations

import openai
import pytest

from tests.proxy.conftest import Bill, Proxy, Tenant

MESSAGES = [{"role": "user", "content": "Say hello"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture
def client(proxy: Proxy, acme: Tenant):
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=acme.key(acme.customer(acme.budget()))) as made:
        yield made


def test_a_whole_answer_a_stream_and_tools(client: openai.OpenAI, acme: Tenant) -> None:
    answer = client.chat.completions.create(model="sim-mini", messages=MESSAGES)
    assert answer.choices[0].message.content
    pieces = list(client.chat.completions.create(model="sim-mini", messages=MESSAGES, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces)
    asked = {"include_usage": True}
    *_, last = client.chat.completions.create(
        model="sim-mini", messages=MESSAGES, stream=True, stream_options=asked
    )
    assert last.usage.completion_tokens > 0
    called = client.chat.completions.create(model="sim-tools", messages=MESSAGES, tools=TOOLS)
    assert called.choices[0].message.tool_calls[0].function.name == "f"
    assert {basis for _, basis, _, _ in acme.rows()} == {"reported"}


async def test_the_async_client(proxy: Proxy, acme: Tenant) -> None:
    key = acme.key(acme.customer(acme.budget()))
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key) as client:
        answer = await client.chat.completions.create(model="sim-mini", messages=MESSAGES)
        assert answer.usage.total_tokens
        stream = await client.chat.completions.create(model="sim-mini", messages=MESSAGES, stream=True)
        assert [piece async for piece in stream]


def test_an_exhausted_budget_is_asked_for_once(proxy: Proxy, acme: Tenant, bill: Bill) -> None:
    name = 'farebox_requests_total{code="budget_exceeded"}'
    before, sent = proxy.metric(name), bill.last()
    key = acme.key(acme.customer(acme.budget("0.000001")))
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=5)
    with client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="sim-mini", messages=MESSAGES)
    assert (raised.value.status_code, raised.value.code) == (402, "budget_exceeded")
    assert proxy.metric(name) == before + 1
    assert bill.last() == sent


def test_refusals_raise_the_clients_own_errors(proxy: Proxy, acme: Tenant, client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        client.with_options(api_key="fbx_ck_test_nonsense").models.list()
    assert raised.value.code == "invalid_key"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="sim-error-404", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="sim-error-400", messages=MESSAGES)
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.chat.completions.create(model="sim-cut-5", messages=MESSAGES, stream=True))
