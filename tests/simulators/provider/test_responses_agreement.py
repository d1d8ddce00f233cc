"""Two who share no code agree on Responses: metering's quote and cost, and the simulator's count and bill."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.cost import cost_of
from metering.prices import make_price
from metering.quote import BoundClass, quote_for
from metering.responses_bound import bound_responses
from metering.responses_output import responses_cap_for
from metering.responses_request import decode_responses
from metering.responses_usage import usage_from_responses
from simulators.provider.responses_counting import count_responses
from tests.simulators.provider.conftest import Simulator
from tests.simulators.provider.test_responses import TOOL, ask, stream

PRICE = make_price(
    "pri_sim",
    ("simulator", "sim"),
    rates={"input": 1_000_000_000, "cache_read": 250_000_000, "output": 2_000_000_000},
)

texts = st.text(max_size=40)
parts = st.fixed_dictionaries({"type": st.just("input_text"), "text": texts})
contents = st.one_of(texts, st.lists(parts, max_size=3))
items = st.one_of(
    st.fixed_dictionaries({"role": st.just("user"), "content": contents}),
    st.fixed_dictionaries({"type": st.just("reasoning"), "summary": st.just([])}),
    st.fixed_dictionaries({"type": st.just("function_call"), "name": texts, "arguments": texts}),
    st.fixed_dictionaries({"type": st.just("function_call_output"), "output": contents}),
)
bodies = st.fixed_dictionaries(
    {"model": st.just("sim-mini"), "input": st.one_of(texts, st.lists(items, max_size=4))},
    optional={
        "instructions": texts,
        "tools": st.lists(st.fixed_dictionaries({"type": st.just("function"), "name": texts}), max_size=2),
        "text": st.fixed_dictionaries({"verbosity": texts}),
    },
)


@settings(deadline=None)
@given(bodies)
def test_both_count_a_prompt_alike(body: dict[str, Any]) -> None:
    bound = bound_responses(
        decode_responses(json.dumps(body, ensure_ascii=False).encode()), provider="simulator"
    )
    assert (bound.tokens, bound.bound_class) == (count_responses(body), BoundClass.EXACT)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "model", ["sim-words-7", "sim-words-7-cached-3", "sim-words-3-reasoning-30", "sim-tools", "sim-json"]
)
def test_cost_from_reported_usage_is_the_bill_and_within_the_quote(
    sim: Simulator, model: str, streamed: bool
) -> None:
    fields: dict[str, Any] = {"tools": [TOOL], "max_output_tokens": 60}
    told = stream(sim, model, **fields)[-1]["response"] if streamed else ask(sim, model, **fields).json()
    usage = usage_from_responses(told["usage"])
    assert usage is not None
    cost = cost_of(usage, PRICE)
    assert cost == sim.only_record()["billed_nanousd"]
    request = decode_responses(json.dumps({"model": model, "input": "hello big world", **fields}).encode())
    cap = responses_cap_for(request, ceiling=None, default_plain=1, default_reasoning=1, minimum=1)
    quote = quote_for(bound_responses(request, provider="simulator"), cap, PRICE)
    assert cost <= quote.cost.at_cap
