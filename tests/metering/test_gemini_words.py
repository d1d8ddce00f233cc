"""The simulator's rule for Gemini, as metering counts it."""

from __future__ import annotations

from typing import Any

import pytest

from metering.errors import RequestShapeError
from metering.quote import BoundClass
from tests.metering.gemini import bound

TOOLS = [{"functionDeclarations": [{"name": "f"}]}]


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 7),
        ({"contents": ["one two", {"parts": [{"text": "three"}, "four", {"inlineData": {}}]}]}, 14),
        ({"contents": {"parts": {"text": "one two"}}}, 8),
        ({"systemInstruction": {"parts": [{"text": "be kind"}]}}, 9),
        ({"system_instruction": "be very kind"}, 10),
        ({"tools": TOOLS}, 7 + len('[{"functionDeclarations":[{"name":"f"}]}]')),
        ({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}, 7 + len('{"type":"OBJECT"}')),
        ({"generation_config": {"response_json_schema": {}}}, 9),
    ],
)
def test_words_and_bytes_are_counted_exactly(fields: dict[str, Any], tokens: int) -> None:
    found = bound("sim-mini", **fields)
    assert (found.tokens, found.bound_class) == (tokens, BoundClass.EXACT)


@pytest.mark.parametrize("contents", [[7], [{"parts": [7]}]])
def test_a_turn_of_another_shape_is_refused(contents: Any) -> None:
    with pytest.raises(RequestShapeError):
        bound("sim-mini", contents=contents)
