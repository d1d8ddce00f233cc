"""Google's Python client, on Gemini's routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from asking import HELLO, KEY, POOR_KEY, URL, refused, run, served
from google import genai
from google.genai import errors, types

# As eager as the client can be made: five attempts at whatever it takes to pass by itself.
EAGER = types.HttpRetryOptions(attempts=5, initial_delay=0.01, max_delay=0.02)


def of_google(key: str = KEY, *, eager: bool = False) -> genai.Client:
    options = types.HttpOptions(base_url=f"{URL}/gemini", retry_options=EAGER if eager else None)
    return genai.Client(api_key=key, http_options=options)


def reason_of(error: errors.APIError) -> str:
    return error.details["error"]["details"][0]["reason"]


def google_json_stream_tools_and_thinking() -> None:
    with of_google() as client:
        answer = client.models.generate_content(model="sim-mini", contents=HELLO)
        assert answer.text
        assert answer.usage_metadata.candidates_token_count > 0
        pieces = list(client.models.generate_content_stream(model="gem/sim-words-20", contents=HELLO))
        assert "".join(piece.text or "" for piece in pieces).endswith("tok20 ")
        assert pieces[-1].usage_metadata.candidates_token_count == 20

        def get_weather(city: str) -> str:
            """Tell the weather."""
            return f"sunny in {city}"

        config = types.GenerateContentConfig(
            tools=[get_weather],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        called = client.models.generate_content(model="sim-tools", contents=HELLO, config=config)
        assert called.function_calls[0].name == "get_weather"
        thinking = types.GenerateContentConfig(
            max_output_tokens=2000, thinking_config=types.ThinkingConfig(thinking_budget=1024)
        )
        thought = client.models.generate_content(model="sim-reasoning-20", contents=HELLO, config=thinking)
        assert thought.usage_metadata.thoughts_token_count == 20
        served(4)


def google_chat_counting_and_embeddings() -> None:
    with of_google() as client:
        chat = client.chats.create(model="sim-mini")
        assert chat.send_message(HELLO).text
        assert chat.send_message("And again").text
        assert client.models.count_tokens(model="sim-mini", contents=HELLO).total_tokens == 8
        made = client.models.embed_content(model="sim-mini", contents=["one", "two words"])
        assert [len(one.values) for one in made.embeddings] == [8, 8]
        served(4)


def google_async() -> None:
    async def call() -> None:
        client = of_google().aio
        pieces = await client.models.generate_content_stream(model="sim-words-20", contents=HELLO)
        assert [piece async for piece in pieces]
        served()

    asyncio.run(call())


def create(client: genai.Client, model: str = "sim-mini") -> Callable[[], object]:
    return lambda: client.models.generate_content(model=model, contents=HELLO)


def google_at_the_limit() -> None:
    over = refused(errors.ClientError, "budget_exceeded", create(of_google(POOR_KEY, eager=True)))
    assert (over.code, over.status, reason_of(over)) == (402, "FAILED_PRECONDITION", "budget_exceeded")
    assert over.details["error"]["details"][0]["metadata"]["limit_usd"]
    poor = of_google(POOR_KEY, eager=True)
    streamed = refused(
        errors.ClientError,
        "budget_exceeded",
        lambda: list(poor.models.generate_content_stream(model="sim-mini", contents=HELLO)),
    )
    assert reason_of(streamed) == "budget_exceeded"


def google_refusals() -> None:
    unknown = refused(errors.ClientError, "invalid_key", create(of_google("nonsense", eager=True)))
    assert (unknown.code, unknown.status) == (401, "UNAUTHENTICATED")
    refused(errors.ClientError, "unpriced_model", create(of_google(), "no-such-model"))
    refused(errors.ClientError, "model_not_found", create(of_google(), "sim-unknown"))
    refused(errors.ClientError, "provider_error", create(of_google(), "sim-error-400"))
    failed = refused(errors.ServerError, "provider_auth_failed", create(of_google(), "sim-error-401"))
    assert "gem" in failed.message


def google_told_to_come_again() -> None:
    limited = refused(errors.ClientError, "provider_rate_limited", create(of_google(), "sim-error-429"))
    assert (limited.code, limited.status) == (429, "RESOURCE_EXHAUSTED")
    eager = create(of_google(eager=True), "sim-error-429")
    refused(errors.ClientError, "provider_rate_limited", eager, attempts=5)


if __name__ == "__main__":
    run(
        "google-genai",
        {
            "generateContent: JSON, stream, tools, thinking": google_json_stream_tools_and_thinking,
            "chats, countTokens, embeddings": google_chat_counting_and_embeddings,
            "asynchronous stream": google_async,
            "at the limit: one attempt, typed": google_at_the_limit,
            "other refusals": google_refusals,
            "429 of a provider: attempts": google_told_to_come_again,
        },
    )
