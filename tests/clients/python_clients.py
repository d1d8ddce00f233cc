"""Python's official clients and LangChain's on top of them. Runs in an environment that knows nothing of ours."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable

import anthropic
import gemini_clients
import openai
from google import genai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

URL, KEY, POOR_KEY = (os.environ[f"FAREBOX_{name}"] for name in ("URL", "KEY", "POOR_KEY"))
HELLO = [{"role": "user", "content": "Say hello"}]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
FUNCTION = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TOOL = {"name": "get_weather", "input_schema": FUNCTION["parameters"]}
asked: Counter[str] = Counter()


def of_openai(key: str = KEY, **options: object) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=key, **options)


def of_anthropic(key: str = KEY, **options: object) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{URL}/anthropic", api_key=key, **options)


def refused(kind: type[Exception], code: str, call: Callable[[], object]) -> Exception:
    """Expect one typed refusal, sent once although the client would try again by itself."""
    asked[code] += 1
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{code}: not refused")


def openai_json_stream_tools_and_images() -> None:
    with of_openai() as client:
        answer = client.chat.completions.create(model="sim-mini", messages=HELLO)
        assert answer.choices[0].message.content
        assert answer.usage.completion_tokens > 0
        stream = client.chat.completions.create(model="sim-words-20", messages=HELLO, stream=True)
        assert "".join(piece.choices[0].delta.content or "" for piece in stream)
        options = {"stream_options": {"include_usage": True}}
        *_, last = client.chat.completions.create(
            model="sim-words-20", messages=HELLO, stream=True, **options
        )
        assert last.usage.completion_tokens == 20
        tools = [{"type": "function", "function": FUNCTION}]
        called = client.chat.completions.create(model="sim-tools", messages=HELLO, tools=tools)
        assert called.choices[0].message.tool_calls[0].function.name == "get_weather"
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        shown = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
        assert client.chat.completions.create(model="sim-mini", messages=shown).choices[0].message.content
        asked["ok"] += 5


def openai_async() -> None:
    async def call() -> None:
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY) as client:
            pieces = await client.chat.completions.create(model="sim-words-20", messages=HELLO, stream=True)
            assert [piece async for piece in pieces]
        asked["ok"] += 1

    asyncio.run(call())


def openai_refusals() -> None:
    def create(client: openai.OpenAI, model: str = "sim-mini") -> Callable[[], object]:
        return lambda: client.chat.completions.create(model=model, messages=HELLO)

    over = refused(openai.APIStatusError, "budget_exceeded", create(of_openai(POOR_KEY)))
    assert (over.status_code, over.code) == (402, "budget_exceeded")
    assert over.body["limit_usd"]
    assert (
        refused(openai.AuthenticationError, "invalid_key", create(of_openai("nonsense"))).code
        == "invalid_key"
    )
    refused(openai.BadRequestError, "unpriced_model", create(of_openai(), "no-such-model"))
    refused(openai.NotFoundError, "model_not_found", create(of_openai(), "sim-unknown"))
    refused(openai.BadRequestError, "provider_error", create(of_openai(), "sim-error-400"))
    limited = create(of_openai(max_retries=0), "sim-error-429")
    assert refused(openai.RateLimitError, "provider_rate_limited", limited).code == "provider_rate_limited"
    mended = refused(openai.InternalServerError, "provider_auth_failed", create(of_openai(), "sim-error-401"))
    assert "sim" in str(mended)


def anthropic_json_stream_tools_images_thinking_and_counting() -> None:
    with of_anthropic() as client:
        answer = client.messages.create(model="sim-mini", max_tokens=100, messages=HELLO)
        assert answer.content[0].text
        assert answer.usage.output_tokens > 0
        assert answer._request_id
        with client.messages.stream(model="sim-words-20", max_tokens=100, messages=HELLO) as stream:
            assert "".join(stream.text_stream)
            assert stream.get_final_message().usage.output_tokens == 20
        called = client.messages.create(model="sim-tools", max_tokens=100, messages=HELLO, tools=[TOOL])
        assert (called.stop_reason, called.content[-1].name) == ("tool_use", "get_weather")
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        shown = [
            {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "?"}]}
        ]
        assert client.messages.create(model="sim-mini", max_tokens=100, messages=shown).content
        thinking = {"type": "enabled", "budget_tokens": 1024}
        thought = client.messages.create(
            model="sim-reasoning-20", max_tokens=2000, messages=HELLO, thinking=thinking
        )
        assert [block.type for block in thought.content] == ["thinking", "text"]
        assert client.messages.create(
            model="sim-cached-3", max_tokens=9, messages=HELLO
        ).usage.cache_read_input_tokens
        assert client.messages.count_tokens(model="sim-mini", messages=HELLO).input_tokens == 8
        asked["ok"] += 7


def anthropic_without_a_path_and_async() -> None:
    async def call() -> None:
        async with anthropic.AsyncAnthropic(base_url=URL, api_key=KEY) as client:
            events = await client.messages.create(
                model="sim-words-20", max_tokens=50, messages=HELLO, stream=True
            )
            assert [event.type async for event in events][-1] == "message_stop"
        asked["ok"] += 1

    asyncio.run(call())


def anthropic_refusals() -> None:
    def create(client: anthropic.Anthropic, model: str = "sim-mini") -> Callable[[], object]:
        return lambda: client.messages.create(model=model, max_tokens=100, messages=HELLO)

    over = refused(anthropic.PaymentRequiredError, "budget_exceeded", create(of_anthropic(POOR_KEY)))
    assert (over.status_code, over.type, over.error_code) == (402, "billing_error", "budget_exceeded")
    assert over.body["error"]["limit_usd"]
    assert over.request_id == over.body["request_id"]
    unknown = refused(anthropic.AuthenticationError, "invalid_key", create(of_anthropic("nonsense")))
    assert unknown.type == "authentication_error"
    refused(anthropic.BadRequestError, "unpriced_model", create(of_anthropic(), "no-such-model"))
    refused(anthropic.NotFoundError, "model_not_found", create(of_anthropic(), "sim-unknown"))
    refused(anthropic.BadRequestError, "provider_error", create(of_anthropic(), "sim-error-400"))
    limited = create(of_anthropic(max_retries=0), "sim-error-429")
    assert refused(anthropic.RateLimitError, "provider_rate_limited", limited).type == "rate_limit_error"
    crowded = create(of_anthropic(max_retries=0), "sim-error-529")
    assert refused(anthropic.OverloadedError, "provider_error", crowded).type == "overloaded_error"
    failed = refused(
        anthropic.InternalServerError, "provider_auth_failed", create(of_anthropic(), "sim-error-401")
    )
    assert "claude" in failed.api_message


def langchain_on_both() -> None:
    chats = (
        ChatOpenAI(base_url=f"{URL}/v1", api_key=KEY, model="sim-mini"),
        ChatAnthropic(base_url=f"{URL}/anthropic", api_key=KEY, model="sim-mini", max_tokens=100),
    )
    for chat in chats:
        answer = chat.invoke([HumanMessage("Say hello")])
        assert answer.content
        assert answer.usage_metadata["output_tokens"] > 0
        assert "".join(str(piece.content) for piece in chat.stream("Say hello"))
        asked["ok"] += 2
    for chat in (
        chats[0].model_copy(update={"model_name": "sim-tools"}),
        chats[1].model_copy(update={"model": "sim-tools"}),
    ):
        called = chat.bind_tools([{"type": "function", "function": {**FUNCTION, "description": "Weather"}}])
        assert called.invoke("Say hello").tool_calls[0]["name"] == "get_weather"
        asked["ok"] += 1
    poor = ChatOpenAI(base_url=f"{URL}/v1", api_key=POOR_KEY, model="sim-mini")
    refused(openai.APIStatusError, "budget_exceeded", lambda: poor.invoke("Say hello"))
    poorer = ChatAnthropic(base_url=f"{URL}/anthropic", api_key=POOR_KEY, model="sim-mini", max_tokens=100)
    refused(anthropic.PaymentRequiredError, "budget_exceeded", lambda: poorer.invoke("Say hello"))


CHECKS = (
    openai_json_stream_tools_and_images,
    openai_async,
    openai_refusals,
    anthropic_json_stream_tools_images_thinking_and_counting,
    anthropic_without_a_path_and_async,
    anthropic_refusals,
    langchain_on_both,
    *gemini_clients.CHECKS,
)


def main() -> int:
    """Run every check; print what was asked for as one JSON line."""
    failed = 0
    versions = (
        f"openai {openai.__version__}, anthropic {anthropic.__version__}, google-genai {genai.__version__}, "
        f"Python {sys.version.split()[0]}"
    )
    sys.stdout.write(versions + "\n")
    for check in CHECKS:
        try:
            check()
        except Exception:
            traceback.print_exc()
            failed += 1
        sys.stdout.write(check.__name__.replace("_", " ") + "\n")
    sys.stdout.write(json.dumps(asked + gemini_clients.asked) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
