"""Anthropic's Python client, with a base URL that has a path and with one that has none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anthropic
from asking import EAGER, KEY, MESSAGES, PNG, POOR_KEY, SCHEMA, URL, refused, run, served

TOOL = {"name": "get_weather", "input_schema": SCHEMA}
ASKED = {"max_tokens": 100, "messages": MESSAGES}


def client_of(key: str = KEY, **options: object) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{URL}/anthropic", api_key=key, **options)


def messages() -> None:
    with client_of() as client:
        create = client.messages.create
        answer = create(model="sim-mini", **ASKED)
        assert answer.content[0].text
        assert answer.usage.output_tokens > 0
        assert answer._request_id
        with client.messages.stream(model="sim-words-20", **ASKED) as stream:
            assert "".join(stream.text_stream)
            assert stream.get_final_message().usage.output_tokens == 20
        called = create(model="sim-tools", tools=[TOOL], **ASKED)
        assert (called.stop_reason, called.content[-1].name) == ("tool_use", "get_weather")
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "?"}]
        shown = [{"role": "user", "content": content}]
        assert create(model="sim-mini", max_tokens=100, messages=shown).content
    served(4)


def thinking_caching_counting() -> None:
    with client_of() as client:
        thinking = {"type": "enabled", "budget_tokens": 1024}
        thought = client.messages.create(
            model="sim-reasoning-20", max_tokens=2000, messages=MESSAGES, thinking=thinking
        )
        assert [block.type for block in thought.content] == ["thinking", "text"]
        cached = client.messages.create(model="sim-cached-3", max_tokens=9, messages=MESSAGES)
        assert cached.usage.cache_read_input_tokens
        assert client.messages.count_tokens(model="sim-mini", messages=MESSAGES).input_tokens == 8
        with client.messages.stream(model="sim-tools", tools=[TOOL], **ASKED) as stream:
            assert stream.get_final_message().content[-1].name == "get_weather"
        assert "sim-mini" in [model.id for model in client.models.list(limit=1000)]
    served(5)


def without_a_path_and_async() -> None:
    async def call() -> None:
        async with anthropic.AsyncAnthropic(base_url=URL, api_key=KEY) as client:
            events = await client.messages.create(model="sim-words-20", stream=True, **ASKED)
            assert [event.type async for event in events][-1] == "message_stop"

    asyncio.run(call())
    served()


def creating(client: anthropic.Anthropic, model: str = "sim-mini") -> Callable[[], object]:
    return lambda: client.messages.create(model=model, **ASKED)


def at_the_limit() -> None:
    def stream() -> None:
        with client_of(POOR_KEY).messages.stream(model="sim-mini", **ASKED) as events:
            list(events)

    for call in (creating(client_of(POOR_KEY)), stream):
        over = refused(anthropic.PaymentRequiredError, "budget_exceeded", call)
        assert (over.status_code, over.type, over.error_code) == (402, "billing_error", "budget_exceeded")
        assert over.body["error"]["limit_usd"]
        assert over.request_id == over.body["request_id"]


def other_refusals() -> None:
    unknown = refused(anthropic.AuthenticationError, "invalid_key", creating(client_of("nonsense")))
    assert unknown.type == "authentication_error"
    refused(anthropic.BadRequestError, "unpriced_model", creating(client_of(), "no-such-model"))
    refused(anthropic.NotFoundError, "model_not_found", creating(client_of(), "sim-unknown"))
    refused(anthropic.BadRequestError, "provider_error", creating(client_of(), "sim-error-400"))
    stopped = refused(
        anthropic.InternalServerError, "provider_auth_failed", creating(client_of(), "sim-error-401")
    )
    assert "claude" in stopped.api_message


def told_to_come_again() -> None:
    once = client_of(max_retries=0)
    limited = refused(anthropic.RateLimitError, "provider_rate_limited", creating(once, "sim-error-429"))
    assert limited.type == "rate_limit_error"
    crowded = refused(anthropic.OverloadedError, "provider_error", creating(once, "sim-error-529"))
    assert crowded.type == "overloaded_error"
    refused(
        anthropic.RateLimitError,
        "provider_rate_limited",
        creating(client_of(), "sim-error-429"),
        attempts=EAGER,
    )


if __name__ == "__main__":
    run(
        "anthropic",
        {
            "messages: JSON, stream, tools, picture": messages,
            "thinking, caching, counting, tools in a stream, models": thinking_caching_counting,
            "asynchronous, a base URL without a path": without_a_path_and_async,
            "at the limit: one attempt, typed": at_the_limit,
            "other refusals": other_refusals,
            "429 of a provider: attempts": told_to_come_again,
        },
    )
