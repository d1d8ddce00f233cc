"""Pydantic AI's models of four interfaces: each a run, a stream, a round of tools, and the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from asking import EAGER, HELLO, KEY, POOR_KEY, URL, refused, run, served
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError, UsageLimitExceeded
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import UsageLimits

ModelOf = Callable[..., Model]


def chat(name: str, key: str = KEY) -> Model:
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=key))


def responses(name: str, key: str = KEY) -> Model:
    return OpenAIResponsesModel(name, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=key))


def messages(name: str, key: str = KEY) -> Model:
    return AnthropicModel(name, provider=AnthropicProvider(base_url=f"{URL}/anthropic", api_key=key))


def gemini(name: str, key: str = KEY) -> Model:
    return GoogleModel(name, provider=GoogleProvider(base_url=f"{URL}/gemini", api_key=key))


async def streamed(model: Model) -> str:
    async with Agent(model).run_stream(HELLO) as stream:
        return "".join([piece async for piece in stream.stream_text(delta=True)])


def use(model_of: ModelOf) -> None:
    answer = Agent(model_of("sim-words-20")).run_sync(HELLO)
    assert answer.output
    assert asyncio.run(streamed(model_of("sim-words-20"))).endswith("tok20 ")
    cities: list[str] = []
    agent = Agent(model_of("sim-tools"))

    @agent.tool_plain
    def get_weather(city: str) -> str:
        cities.append(city)
        return "sunny"

    try:  # the simulated model asks for its tool for ever
        agent.run_sync(HELLO, usage_limits=UsageLimits(request_limit=2))
    except UsageLimitExceeded:
        served(2)
    assert len(cities) == 2
    served(2)


def at_the_limit(model_of: ModelOf) -> None:
    poor = model_of("sim-mini", POOR_KEY)
    for call in (lambda: Agent(poor).run_sync(HELLO), lambda: asyncio.run(streamed(poor))):
        over = refused(ModelHTTPError, "budget_exceeded", call)
        assert over.status_code == 402
        assert "budget_exceeded" in str(over.body)


def told_to_come_again(model_of: ModelOf, attempts: int) -> None:
    agent = Agent(model_of("sim-error-429"))
    refused(ModelHTTPError, "provider_rate_limited", lambda: agent.run_sync(HELLO), attempts=attempts)


def checks() -> dict[str, Callable[[], None]]:
    found: dict[str, Callable[[], None]] = {}
    # Google's client tries again only where it is told to.
    for model_of, attempts in ((chat, EAGER), (responses, EAGER), (messages, EAGER), (gemini, 1)):
        name = model_of.__name__
        found[f"{name}: JSON, stream, rounds of tools"] = partial(use, model_of)
        found[f"{name} at the limit: one attempt, typed"] = partial(at_the_limit, model_of)
        found[f"{name}, 429 of a provider: attempts"] = partial(told_to_come_again, model_of, attempts)
    return found


if __name__ == "__main__":
    run("pydantic-ai-slim", checks())
