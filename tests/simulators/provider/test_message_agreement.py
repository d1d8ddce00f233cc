"""Two who share no code agree: metering's quote and cost, and the simulator's count and bill."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.anthropic import (
    bound_messages,
    decode_messages,
    messages_cap_for,
    usage_from_anthropic,
    usage_from_stream,
)
from metering.cost import cost_of
from metering.prices import make_price
from metering.quote import BoundClass, quote_for
from simulators.provider.message_counting import count_messages
from tests.simulators.provider.conftest import Simulator
from tests.simulators.provider.test_message_streams import stream
from tests.simulators.provider.test_messages import TOOL, ask

PRICE = make_price(
    "pri_sim",
    ("anthropic", "sim"),
    rates={
        "input": 1_000_000_000,
        "cache_read": 250_000_000,
        "cache_write_5m": 1_250_000_000,
        "cache_write_1h": 2_000_000_000,
        "output": 2_000_000_000,
    },
)
MODELS = (
    "sim-words-7",
    "sim-words-7-cached-3-cachewrite-2-cachewrite1h-1",
    "sim-words-3-reasoning-30",
    "sim-over-50",
    "sim-tools",
)

texts = st.text(max_size=40)
text_blocks = st.fixed_dictionaries({"type": st.just("text"), "text": texts})
results = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "content": st.one_of(texts, st.lists(text_blocks, max_size=2))}
)
thoughts = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": texts})
contents = st.one_of(texts, st.lists(st.one_of(text_blocks, results, thoughts), max_size=4))
bodies = st.fixed_dictionaries(
    {
        "model": st.just("sim-mini"),
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.just("user"), "content": contents}), min_size=1
        ),
    },
    optional={
        "system": st.one_of(st.none(), contents),
        "tools": st.one_of(st.none(), st.lists(st.dictionaries(texts, texts), max_size=2)),
        "output_config": st.dictionaries(texts, texts, max_size=2),
    },
)


@given(bodies)
def test_both_count_a_prompt_alike(body: dict[str, Any]) -> None:
    found = bound_messages(decode_messages(json.dumps(body).encode()))
    assert (found.tokens, found.bound_class) == (count_messages(body), BoundClass.EXACT)


def _quoted(sim: Simulator, model: str, **fields: Any) -> int:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hello big world"}]}
    request = decode_messages(json.dumps(body | fields).encode())
    cap = messages_cap_for(request, ceiling=None, default_plain=9, default_reasoning=9, minimum=9)
    return quote_for(bound_messages(request), cap, PRICE).cost.at_cap


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_answer_costs_what_is_billed_and_no_more_than_quoted(sim: Simulator, model: str) -> None:
    fields = {"tools": [TOOL]} if "tools" in model else {}
    usage = usage_from_anthropic(ask(sim, model, **fields).json()["usage"])
    assert usage is not None
    billed = sim.only_record()["billed_nanousd"]
    assert cost_of(usage, PRICE) == billed
    assert "over" in model or billed <= _quoted(sim, model, **fields)


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_costs_what_is_billed(sim: Simulator, model: str) -> None:
    heard = stream(sim, model, **({"tools": [TOOL]} if "tools" in model else {}))
    start, end = heard.of("message_start")[0]["message"]["usage"], heard.of("message_delta")[0]["usage"]
    usage = usage_from_stream(start, end)
    assert usage is not None
    assert cost_of(usage, PRICE) == sim.only_record()["billed_nanousd"]
