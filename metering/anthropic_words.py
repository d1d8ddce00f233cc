"""The simulator's published rule for Messages: words of the text, bytes of what stands beside it."""

from __future__ import annotations

import json
from typing import Any

from metering.anthropic_request import MessagesRequest
from metering.chat_request import parse_unique
from metering.errors import RequestShapeError
from metering.tokens import byte_bound

_REQUEST_TOKENS = 2
_MESSAGE_TOKENS = 4
_DEPTH_MAX = 4


def count_words(request: MessagesRequest) -> int:
    """Count a simulated model's prompt exactly. Raises: RequestShapeError for a message of no known shape."""
    tokens = _REQUEST_TOKENS + _words(parse_unique(request.system, "system"), "system")
    for place, raw in enumerate(request.messages):
        param = f"messages[{place}]"
        message = parse_unique(raw, param)
        if not isinstance(message, dict):
            raise RequestShapeError(f"{param} must be an object with a role", param)
        tokens += _MESSAGE_TOKENS + _words(message.get("content"), f"{param}.content")
    for name in ("tools", "output_format", "output_config"):
        value = parse_unique(getattr(request, name), name)
        if value is not None:
            tokens += byte_bound(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return tokens


def _words(content: Any, param: str, depth: int = 0) -> int:
    if content is None:
        return 0
    if isinstance(content, str):
        return len(content.split())
    if (
        not isinstance(content, list)
        or depth == _DEPTH_MAX
        or not all(isinstance(block, dict) for block in content)
    ):
        raise RequestShapeError(f"{param} must be a string or a list of blocks", param)
    words = 0
    for place, block in enumerate(content):
        kind = block.get("type")
        if kind == "text" and isinstance(block.get("text"), str):
            words += len(block["text"].split())
        elif kind == "tool_result":
            words += _words(block.get("content"), f"{param}[{place}].content", depth + 1)
    return words
