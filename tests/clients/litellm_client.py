"""LiteLLM as a client of three interfaces, alone and behind its router."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import litellm
import openai
from asking import EAGER, FUNCTION, HELLO, KEY, MESSAGES, POOR_KEY, URL, refused, run, served

BASES = {"openai": f"{URL}/v1", "anthropic": f"{URL}/anthropic", "gemini": f"{URL}/gemini/v1beta"}
# How it says 402: of OpenAI's interface it has no class for it.
OVER = {
    "openai": litellm.APIError,
    "anthropic": litellm.PaymentRequiredError,
    "gemini": litellm.PaymentRequiredError,
}


def complete(provider: str, model: str = "sim-mini", key: str = KEY, **options: object) -> object:
    return litellm.completion(
        model=f"{provider}/{model}", messages=MESSAGES, api_base=BASES[provider], api_key=key, **options
    )


def use(provider: str) -> None:
    answer = complete(provider)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0
    text = [piece.choices[0].delta.content or "" for piece in complete(provider, "sim-words-20", stream=True)]
    assert "".join(text).strip().endswith("tok20")
    called = complete(provider, "sim-tools", tools=[{"type": "function", "function": FUNCTION}])
    assert called.choices[0].message.tool_calls[0].function.name == "get_weather"
    served(3)


def other_routes() -> None:
    where = {"api_base": BASES["openai"], "api_key": KEY}
    assert litellm.responses(model="openai/sim-mini", input=HELLO, **where).output
    assert len(litellm.embedding(model="openai/sim-mini", input=["one", "two words"], **where).data) == 2
    served(2)


def at_the_limit(provider: str) -> None:
    calls = (
        lambda: complete(provider, key=POOR_KEY),
        lambda: list(complete(provider, key=POOR_KEY, stream=True)),
    )
    for call in calls:
        over = refused(OVER[provider], "budget_exceeded", call)
        assert over.status_code == 402
        assert "budget bud_" in str(over)


def routed(provider: str) -> Callable[[], object]:
    """Ask the router, at the limit."""
    parameters = {"model": f"{provider}/sim-mini", "api_base": BASES[provider], "api_key": POOR_KEY}
    models = [{"model_name": "any", "litellm_params": parameters}]
    return lambda: litellm.Router(model_list=models).completion(model="any", messages=MESSAGES)


def router_at_the_limit() -> None:
    for provider in BASES:
        refused(OVER[provider], "budget_exceeded", routed(provider))


def repeated_by_request() -> None:
    # `num_retries` repeats whatever failed: what docs/clients.md warns of.
    call = partial(complete, "openai", key=POOR_KEY, num_retries=2)
    refused(OVER["openai"], "budget_exceeded", call, attempts=EAGER)


def told_to_come_again() -> None:
    for provider, attempts in (("openai", EAGER), ("anthropic", 1), ("gemini", 1)):
        call = partial(complete, provider, "sim-error-429")
        refused(openai.RateLimitError, "provider_rate_limited", call, attempts=attempts)


if __name__ == "__main__":
    litellm.suppress_debug_info = True
    run(
        "litellm",
        {
            **{f"{each}/: JSON, stream, tools": partial(use, each) for each in BASES},
            "openai/: responses, embeddings": other_routes,
            **{f"{each}/ at the limit: one attempt, typed": partial(at_the_limit, each) for each in BASES},
            "router at the limit: one attempt, typed": router_at_the_limit,
            "num_retries=2 at the limit: three attempts": repeated_by_request,
            "429 of a provider: attempts": told_to_come_again,
        },
    )
