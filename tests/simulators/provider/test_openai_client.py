"""The official client, unchanged, against the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest

from tests.simulators.provider.conftest import PROMPT_TOKENS, WORDS, Simulator
from tests.simulators.provider.test_chat import TOOL

MESSAGES = cast("Any", WORDS)


@pytest.fixture
def client(sim: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sim.base_url, api_key="sk-sim-any", max_retries=0) as client:
        yield client


def test_it_reads_a_json_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sim-exact", messages=MESSAGES, max_completion_tokens=6)
    assert answer.choices[0].message.content == "tok1 tok2 tok3 tok4 tok5 tok6 "
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (PROMPT_TOKENS, 6)


@pytest.mark.parametrize(
    "model", ["sim-words-5", "sim-words-5-crlf", "sim-words-5-comments", "sim-words-5-gzip"]
)
def test_it_reads_a_stream_with_usage(client: openai.OpenAI, model: str) -> None:
    stream = client.chat.completions.create(
        model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text.split() == ["tok1", "tok2", "tok3", "tok4", "tok5"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


@pytest.mark.parametrize("model", ["sim-tools", "sim-tools-drip-1"])
def test_it_puts_a_streamed_tool_call_together(client: openai.OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=MESSAGES, tools=[cast("Any", TOOL)]) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls is not None
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "tok1 tok2", "days": 1}


def test_it_raises_its_own_errors(client: openai.OpenAI) -> None:
    expected = {
        "sim-nope": openai.NotFoundError,
        "sim-error-400": openai.BadRequestError,
        "sim-error-429": openai.RateLimitError,
        "sim-error-502": openai.InternalServerError,
        "sim-reset": openai.APIConnectionError,
    }
    for model, error in expected.items():
        with pytest.raises(error):
            client.chat.completions.create(model=model, messages=MESSAGES)


def test_it_raises_an_error_inside_a_stream(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="sim-midstream-error", messages=MESSAGES, stream=True))


def test_it_lists_models(client: openai.OpenAI) -> None:
    assert "sim-exact" in {model.id for model in client.models.list()}
