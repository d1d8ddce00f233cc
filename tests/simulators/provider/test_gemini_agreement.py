"""Two who share no code agree: metering's quote and cost, and the simulator's count and bill."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.cost import cost_of
from metering.gemini import bound_gemini, decode_gemini, gemini_cap_for, usage_from_gemini
from metering.prices import make_price
from metering.quote import BoundClass, quote_for
from simulators.provider.gemini_counting import count_gemini
from tests.simulators.provider.conftest import Simulator
from tests.simulators.provider.test_gemini import CONTENTS, FUNCTION, ask, stream

PRICE = make_price(
    "pri_sim",
    ("google", "sim"),
    rates={"input": 1_000_000_000, "cache_read": 250_000_000, "output": 2_000_000_000},
)
MODELS = (
    *(
        "sim-words-7",
        "sim-words-7-cached-3",
        "sim-words-3-reasoning-30",
        "sim-over-50",
        "sim-tools",
        "sim-blocked",
    ),
    *("sim-words-7-noprompt", "sim-reasoning-5-nocandidates", "sim-words-7-lastusage"),
)

texts = st.text(max_size=40)
parts = st.one_of(
    st.fixed_dictionaries({"text": texts}),
    st.fixed_dictionaries({"text": texts, "thought": st.booleans()}),
    st.fixed_dictionaries({"functionCall": st.dictionaries(texts, texts)}),
)
contents = st.fixed_dictionaries({"parts": st.lists(parts, max_size=4)}, optional={"role": st.just("user")})
bodies = st.fixed_dictionaries(
    {"contents": st.one_of(contents, st.lists(contents, min_size=1, max_size=4))},
    optional={
        "systemInstruction": st.one_of(st.none(), contents, texts),
        "tools": st.one_of(st.none(), st.lists(st.dictionaries(texts, texts), max_size=2)),
        "generationConfig": st.fixed_dictionaries(
            {}, optional={"responseSchema": st.dictionaries(texts, texts)}
        ),
    },
)


@given(bodies)
def test_both_count_a_prompt_alike(body: dict[str, Any]) -> None:
    found = bound_gemini(decode_gemini(json.dumps(body).encode(), "sim-mini"))
    assert (found.tokens, found.bound_class) == (count_gemini(body), BoundClass.EXACT)


def _quoted(model: str, **fields: Any) -> int:
    request = decode_gemini(json.dumps({"contents": CONTENTS, **fields}).encode(), model)
    cap = gemini_cap_for(request, ceiling=None, default_plain=100, default_reasoning=100, minimum=9)
    return quote_for(bound_gemini(request), cap, PRICE).cost.at_cap


@pytest.mark.parametrize("form", ["whole", "events", "array"])
@pytest.mark.parametrize("model", MODELS)
def test_an_answer_costs_what_is_billed_and_no_more_than_quoted(
    sim: Simulator, model: str, form: str
) -> None:
    config = {"maxOutputTokens": 100, "candidateCount": 2}
    fields: dict[str, Any] = {"generationConfig": config}
    if "tools" in model:
        fields["tools"] = [{"functionDeclarations": [FUNCTION]}]
    if form == "whole":
        told = ask(sim, model, **fields).json()
    else:
        told = stream(sim, model, query="?alt=sse" if form == "events" else "", **fields)[-1]
    usage = usage_from_gemini(told["usageMetadata"])
    assert usage is not None
    billed = sim.only_record()["billed_nanousd"]
    assert cost_of(usage, PRICE) == billed
    assert "over" in model or billed <= _quoted(model, **fields)
