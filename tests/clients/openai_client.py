"""OpenAI's Python client, on every route it has a method for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import openai
from asking import EAGER, FUNCTION, KEY, MESSAGES, PNG, POOR_KEY, URL, refused, run, served

TOOLS = [{"type": "function", "function": FUNCTION}]


def client_of(key: str = KEY, **options: object) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=key, **options)


def chat() -> None:
    with client_of() as client:
        create = client.chat.completions.create
        answer = create(model="sim-mini", messages=MESSAGES)
        assert answer.choices[0].message.content
        assert answer.usage.completion_tokens > 0
        stream = create(model="sim-words-20", messages=MESSAGES, stream=True)
        assert "".join(piece.choices[0].delta.content or "" for piece in stream)
        *_, last = create(
            model="sim-words-20", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        assert last.usage.completion_tokens == 20
        called = create(model="sim-tools", messages=MESSAGES, tools=TOOLS)
        assert called.choices[0].message.tool_calls[0].function.name == "get_weather"
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        shown = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
        assert create(model="sim-mini", messages=shown).choices[0].message.content
    served(5)


def chat_streamed_tools() -> None:
    pieces = list(
        client_of().chat.completions.create(model="sim-tools", messages=MESSAGES, tools=TOOLS, stream=True)
    )
    assert any(piece.choices and piece.choices[0].delta.tool_calls for piece in pieces)
    served()


def chat_async() -> None:
    async def call() -> None:
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY) as client:
            pieces = await client.chat.completions.create(
                model="sim-words-20", messages=MESSAGES, stream=True
            )
            assert [piece async for piece in pieces]

    asyncio.run(call())
    served()


def responses() -> None:
    with client_of() as client:
        answer = client.responses.create(model="sim-mini", input="Say hello")
        assert answer.output_text
        assert answer.usage.output_tokens > 0
        with client.responses.stream(model="sim-words-20", input="Say hello") as stream:
            assert [event.type for event in stream][-1] == "response.completed"
            assert stream.get_final_response().usage.output_tokens == 20
        tool = {"type": "function", "strict": False, **FUNCTION}
        called = client.responses.create(model="sim-tools", input="Say hello", tools=[tool])
        assert called.output[-1].name == "get_weather"
        counted = client.responses.input_tokens.count(model="sim-mini", input="Say hello")
        assert counted.input_tokens == answer.usage.input_tokens
    served(4)


def other_routes() -> None:
    with client_of() as client:
        made = client.embeddings.create(model="sim-mini", input=["one", "two words"])
        assert [len(one.embedding) for one in made.data] == [8, 8]
        answer = client.completions.create(model="sim-mini", prompt="Say hello", max_tokens=20)
        assert answer.usage.completion_tokens == 20
        *_, last = client.completions.create(
            model="sim-mini",
            prompt="Say hello",
            max_tokens=20,
            stream=True,
            stream_options={"include_usage": True},
        )
        assert last.usage.completion_tokens == 20
        assert client.moderations.create(input="Say hello").results
        assert "sim-mini" in [model.id for model in client.models.list()]
        assert client.models.retrieve("sim-mini").id == "sim-mini"
    served(6)


def creating(client: openai.OpenAI, model: str = "sim-mini") -> Callable[[], object]:
    return lambda: client.chat.completions.create(model=model, messages=MESSAGES)


def at_the_limit() -> None:
    poor = client_of(POOR_KEY)

    def stream_responses() -> None:
        with poor.responses.stream(model="sim-mini", input="Say hello") as stream:
            list(stream)

    calls = (
        creating(poor),
        lambda: list(poor.chat.completions.create(model="sim-mini", messages=MESSAGES, stream=True)),
        lambda: poor.responses.create(model="sim-mini", input="Say hello"),
        stream_responses,
        lambda: poor.embeddings.create(model="sim-mini", input=["one", "two words"]),
        lambda: poor.completions.create(model="sim-mini", prompt="Say hello"),
    )
    for call in calls:
        over = refused(openai.APIStatusError, "budget_exceeded", call)
        assert (over.status_code, over.code) == (402, "budget_exceeded")
        assert over.body["limit_usd"]


def other_refusals() -> None:
    unknown = refused(openai.AuthenticationError, "invalid_key", creating(client_of("nonsense")))
    assert unknown.code == "invalid_key"
    refused(openai.BadRequestError, "unpriced_model", creating(client_of(), "no-such-model"))
    refused(openai.NotFoundError, "model_not_found", creating(client_of(), "sim-unknown"))
    refused(openai.BadRequestError, "provider_error", creating(client_of(), "sim-error-400"))
    stopped = refused(
        openai.InternalServerError, "provider_auth_failed", creating(client_of(), "sim-error-401")
    )
    assert "sim" in str(stopped)
    unserved = client_of().images
    refused(openai.NotFoundError, "unsupported_route", lambda: unserved.generate(model="x", prompt="y"))


def told_to_come_again() -> None:
    limited = creating(client_of(max_retries=0), "sim-error-429")
    assert refused(openai.RateLimitError, "provider_rate_limited", limited).code == "provider_rate_limited"
    refused(
        openai.RateLimitError,
        "provider_rate_limited",
        creating(client_of(), "sim-error-429"),
        attempts=EAGER,
    )


if __name__ == "__main__":
    run(
        "openai",
        {
            "chat: JSON, stream, usage, tools, picture": chat,
            "chat: tools in a stream": chat_streamed_tools,
            "chat: asynchronous stream": chat_async,
            "responses: JSON, stream, tools, count": responses,
            "embeddings, completions, moderations, models": other_routes,
            "at the limit: one attempt, typed": at_the_limit,
            "other refusals": other_refusals,
            "429 of a provider: attempts": told_to_come_again,
        },
    )
