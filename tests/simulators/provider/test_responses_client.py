"""The official client, unchanged, against the simulator's Responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

from tests.simulators.provider.conftest import Simulator


class City(pydantic.BaseModel):
    """A place."""

    name: str
    people: int


@pytest.fixture
def client(sim: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sim.base_url, api_key="sk-sim-any", max_retries=0) as client:
        yield client


def test_it_reads_a_whole_answer(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="sim-exact", input="hello", max_output_tokens=3)
    assert (answer.output_text, answer.status) == ("tok1 tok2 tok3 ", "incomplete")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10


def test_it_puts_a_stream_together(client: openai.OpenAI) -> None:
    with client.responses.stream(model="sim-words-4", input="hello") as events:
        spoken = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        answer = events.get_final_response()
    assert answer.output_text == spoken == "tok1 tok2 tok3 tok4 "


def test_it_puts_a_streamed_call_together(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool: Any = {"type": "function", "name": "f", "parameters": schema, "strict": False}
    with client.responses.stream(model="sim-tools", input="hello", tools=[tool]) as events:
        answer = events.get_final_response()
    [called] = answer.output
    assert called.type == "function_call"
    assert json.loads(called.arguments) == {"city": "tok1 tok2"}


def test_it_parses_what_follows_a_schema(client: openai.OpenAI) -> None:
    answer = client.responses.parse(model="sim-json", input="hello", text_format=City)
    assert answer.output_parsed == City(name="tok1 tok2", people=1)


def test_it_counts_a_prompt(client: openai.OpenAI) -> None:
    assert client.responses.input_tokens.count(model="sim-mini", input="one two").input_tokens == 8


def test_it_compacts_a_conversation(client: openai.OpenAI) -> None:
    compacted = client.responses.compact(model="sim-words-3", input="one two")
    assert compacted.usage.output_tokens == 3
