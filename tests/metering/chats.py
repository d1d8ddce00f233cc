"""Chat requests for tests: a body from keyword arguments, and its bound."""

from __future__ import annotations

import json
from typing import Any

from metering.openai_chat import ChatRequest, bound_chat, decode_chat
from metering.quote import InputBound


def body(model: str = "gpt-4o-mini", messages: Any = "hi", **fields: Any) -> bytes:
    """A chat request's body; a string for messages is one from the user."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return json.dumps({"model": model, "messages": messages, **fields}).encode()


def request(model: str = "gpt-4o-mini", messages: Any = "hi", **fields: Any) -> ChatRequest:
    """A decoded chat request."""
    return decode_chat(body(model, messages, **fields))


def bound(model: str = "gpt-4o-mini", messages: Any = "hi", **fields: Any) -> InputBound:
    """The bound of a chat request."""
    return bound_chat(request(model, messages, **fields))
