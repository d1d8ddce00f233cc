"""Responses requests for tests: a body from keyword arguments, and its bound."""

from __future__ import annotations

import json
from typing import Any

from metering.allowances import NONE, Allowances
from metering.quote import InputBound
from metering.responses_bound import bound_responses
from metering.responses_request import ResponsesRequest, decode_responses


def body(model: str = "gpt-4.1", given: Any = "hi", **fields: Any) -> bytes:
    """A Responses request's body."""
    return json.dumps({"model": model, "input": given, **fields}, ensure_ascii=False).encode()


def request(model: str = "gpt-4.1", given: Any = "hi", **fields: Any) -> ResponsesRequest:
    """A decoded Responses request."""
    return decode_responses(body(model, given, **fields))


def bound(
    model: str = "gpt-4.1",
    given: Any = "hi",
    *,
    provider: str = "openai",
    allowances: Allowances = NONE,
    **fields: Any,
) -> InputBound:
    """The bound of a Responses request."""
    return bound_responses(request(model, given, **fields), provider=provider, allowances=allowances)


def function(name: str = "get_weather", **schema: Any) -> dict[str, Any]:
    """A function tool."""
    return {"type": "function", "name": name, "parameters": {"type": "object", **schema}}


def message(*parts: Any, role: str = "user", **fields: Any) -> dict[str, Any]:
    """A message of parts; a string is a part of text."""
    content = [{"type": "input_text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"role": role, "content": content, **fields}
