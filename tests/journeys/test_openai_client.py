"""The unmodified official client: change base URL and key, nothing else, and everything it shows makes sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.journeys.desk import MESSAGES, Desk, Made, fresh, watching
from tests.stack import Stack

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Oslo"]}}},
        },
    }
]

Connect = Callable[..., openai.OpenAI]


@pytest.fixture(scope="module")
def customer(acme: Desk) -> Made:
    """A customer with room for everything this file calls."""
    for model in ("sim-tools", "sim-words-20"):
        acme.price(model)
    return acme.customer("50.00")


@pytest.fixture
def connect(stack: Stack) -> Iterator[Connect]:
    """Make clients as a customer would: a base URL and a key."""
    made: list[openai.OpenAI] = []

    def client(key: str, **options: Any) -> openai.OpenAI:
        made.append(openai.OpenAI(base_url=f"{stack.address('proxy1')}/v1", api_key=key, **options))
        return made[-1]

    yield client
    for each in made:
        each.close()


def ask(client: openai.OpenAI, model: str = "sim-mini", **fields: Any) -> Any:
    """One plain call."""
    return client.chat.completions.create(model=model, messages=MESSAGES, **fields)


def test_a_whole_answer_with_its_usage_and_its_cost(connect: Connect, customer: Made) -> None:
    raw = connect(customer.key).chat.completions.with_raw_response.create(
        model="sim-mini", messages=MESSAGES, max_completion_tokens=50
    )
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.usage is not None
    usage = answer.usage
    cost = usage.prompt_tokens * 1_000 + usage.completion_tokens * 2_000  # nano-dollars a token
    assert Stack.nanousd(raw.headers["farebox-cost-usd"]) == cost
    assert Stack.nanousd(raw.headers["farebox-quote-usd"]) >= cost
    assert Stack.nanousd(raw.headers["farebox-remaining-usd"]) < Stack.nanousd("50.00")
    assert raw.headers["farebox-request-id"].startswith("req_")
    assert "farebox-output-cap" not in raw.headers  # the caller's own cap stood


def test_a_cap_that_is_ours_is_announced(connect: Connect, customer: Made) -> None:
    raw = connect(customer.key).chat.completions.with_raw_response.create(model="sim-mini", messages=MESSAGES)
    assert raw.headers["farebox-output-cap"] == "4096"


def test_a_stream_shows_usage_only_to_who_asked_for_it(connect: Connect, customer: Made) -> None:
    client = connect(customer.key)
    plain = list(ask(client, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in plain)
    assert all(piece.usage is None and piece.choices for piece in plain)
    *_, last = ask(client, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.completion_tokens > 0


def test_tools_are_called_whole_and_streamed(connect: Connect, customer: Made) -> None:
    client = connect(customer.key)
    [call] = ask(client, "sim-tools", tools=TOOLS).choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("look_up", '{"city": "Oslo"}')
    deltas = [
        piece.choices[0].delta.tool_calls for piece in ask(client, "sim-tools", tools=TOOLS, stream=True)
    ]
    streamed = "".join(part[0].function.arguments or "" for part in deltas if part)
    assert streamed == call.function.arguments


async def test_the_async_client_does_the_same(stack: Stack, customer: Made) -> None:
    base_url = f"{stack.address('proxy2')}/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key=customer.key) as client:
        answer = await client.chat.completions.create(model="sim-mini", messages=MESSAGES)
        assert answer.usage is not None
        assert answer.usage.total_tokens
        stream = await client.chat.completions.create(
            model="sim-tools", messages=MESSAGES, tools=TOOLS, stream=True
        )
        assert [piece async for piece in stream][-1].choices[0].finish_reason == "tool_calls"


def test_the_models_that_have_a_price_are_listed(connect: Connect, customer: Made) -> None:
    assert {"sim-mini", "sim-tools"} <= {model.id for model in connect(customer.key).models.list()}


def test_at_the_limit_the_client_raises_402_after_one_attempt(
    stack: Stack, acme: Desk, connect: Connect
) -> None:
    acme.price("sim-exact", output_usd="10.00")
    client = connect(acme.customer("0.01").key)  # default max_retries
    with watching(stack) as seen:
        ask(client, "sim-exact", max_completion_tokens=900)
        with pytest.raises(openai.APIStatusError) as raised:
            ask(client, "sim-exact", max_completion_tokens=900)
    assert (raised.value.status_code, raised.value.code) == (402, "budget_exceeded")
    assert seen.codes == ["ok", "budget_exceeded"]
    assert len(seen.upstream) == 1
    body: Any = raised.value.body
    assert body["limit_usd"] == "0.01"
    assert body["resets_at"].endswith("T00:00:00Z")
    assert body["docs"] == f"{stack.address('web')}/docs/errors#budget_exceeded"


async def test_at_the_limit_the_async_client_raises_402_after_one_attempt(stack: Stack, acme: Desk) -> None:
    key = acme.customer("0.000001").key
    base_url = f"{stack.address('proxy1')}/v1"
    with watching(stack) as seen:
        async with openai.AsyncOpenAI(base_url=base_url, api_key=key) as client:
            with pytest.raises(openai.APIStatusError) as raised:
                await client.chat.completions.create(model="sim-mini", messages=MESSAGES, stream=True)
    assert (raised.value.status_code, raised.value.code) == (402, "budget_exceeded")
    assert (seen.codes, seen.upstream) == (["budget_exceeded"], [])


def test_a_rate_limit_says_when_and_the_client_comes_again_by_itself(
    stack: Stack, acme: Desk, connect: Connect
) -> None:
    key = acme.customer(requests_per_minute=60, burst=1).key
    impatient = connect(key, max_retries=0)
    with watching(stack) as seen:
        ask(impatient)
        with pytest.raises(openai.RateLimitError) as raised:
            ask(impatient)
        assert ask(connect(key)).choices
    assert raised.value.code == "rate_limited"
    assert raised.value.response.headers["retry-after"] == "1"
    assert seen.codes[:2] == ["ok", "rate_limited"]
    assert seen.codes[-1] == "ok"
    assert len(seen.upstream) == 2


def test_headers_of_ours_reach_the_books(acme: Desk, connect: Connect, customer: Made) -> None:
    run = fresh("run")
    headers = {"Farebox-Run": run, "Farebox-Tags": "feature=search,env=prod"}
    raw = connect(customer.key).chat.completions.with_raw_response.create(
        model="sim-mini", messages=MESSAGES, extra_headers=headers
    )
    acme.stack.wait_until_quiet()
    booked = acme.do("GET", f"/requests/{raw.headers['farebox-request-id']}")
    assert (booked["run"], booked["tags"]) == (run, {"feature": "search", "env": "prod"})
    assert booked["customer"] == customer.id
    assert booked["cost_usd"] == raw.headers["farebox-cost-usd"]


def test_a_request_too_large_is_refused_in_the_clients_own_words(
    stack: Stack, connect: Connect, customer: Made
) -> None:
    large: Any = [{"role": "user", "content": "x" * 600_000}]
    with watching(stack) as seen, pytest.raises(openai.APIStatusError) as raised:
        connect(customer.key).chat.completions.create(model="sim-mini", messages=large)
    assert (raised.value.status_code, raised.value.code) == (413, "body_too_large")
    assert "500000" in raised.value.message
    assert (seen.codes, seen.upstream) == (["body_too_large"], [])


def test_what_is_no_json_is_named(stack: Stack, customer: Made) -> None:
    url = f"{stack.address('proxy1')}/v1/chat/completions"
    answer = httpx.post(url, content=b"model=sim-mini", headers={"x-api-key": customer.key})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_a_route_that_is_not_served_is_404_and_goes_nowhere(
    stack: Stack, connect: Connect, customer: Made
) -> None:
    client = connect(customer.key)
    with watching(stack) as seen:
        for call in (
            lambda: client.files.list(),
            lambda: client.batches.list(),
            lambda: client.models.delete("x"),
        ):
            with pytest.raises(openai.NotFoundError) as raised:
                call()
            assert raised.value.code == "unsupported_route"
    assert (seen.codes, seen.upstream) == (["unsupported_route"] * 3, [])
