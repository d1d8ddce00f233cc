"""Messages requests for tests: a body from keyword arguments, and its bound."""

from __future__ import annotations

import json
from typing import Any

from metering.allowances import Allowances
from metering.anthropic import MessagesRequest, bound_messages, decode_messages
from metering.quote import InputBound


def body(model: str = "claude-sonnet-4-5", content: Any = "hi", **fields: Any) -> bytes:
    """A Messages request's body with one message from the user, unless ``messages`` says otherwise."""
    messages = [{"role": "user", "content": content}]
    return json.dumps({"model": model, "max_tokens": 100, "messages": messages, **fields}).encode()


def request(model: str = "claude-sonnet-4-5", content: Any = "hi", **fields: Any) -> MessagesRequest:
    """A decoded Messages request."""
    return decode_messages(body(model, content, **fields))


def bound(model: str = "claude-sonnet-4-5", content: Any = "hi", **fields: Any) -> InputBound:
    """The bound of a Messages request."""
    return bound_messages(request(model, content, **fields))


def allowed(tokens_by_kind: dict[str, int], model: str = "claude-sonnet-4-5", **fields: Any) -> InputBound:
    """The bound of a Messages request of a tenant with allowances."""
    return bound_messages(request(model, **fields), allowances=Allowances(tokens_by_kind))
