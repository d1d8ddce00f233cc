"""The simulator's published rule for Gemini: words of the text, bytes of what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from metering.gemini_content import compact
from metering.gemini_request import GeminiRequest, listed, named
from metering.tokens import byte_bound

_REQUEST_TOKENS = 2
_TURN_TOKENS = 4
_SCHEMAS = ("responseSchema", "responseJsonSchema")


def count_gemini_words(request: GeminiRequest) -> int:
    """Count a simulated model's prompt exactly. Raises: RequestShapeError for a turn of no known shape."""
    tokens = _REQUEST_TOKENS + _words(request.read("systemInstruction"), "systemInstruction")
    for place, content in enumerate(listed(request.read("contents"))):
        tokens += _TURN_TOKENS + _words(content, f"contents[{place}]")
    tools = request.read("tools")
    for value in (tools, *(request.config.get(name) for name in _SCHEMAS)):
        if value is not None:
            tokens += byte_bound(compact(value))
    return tokens


def count_embed_words(contents: Iterable[tuple[str, Any, str]]) -> int:
    """Count what a simulated model is to embed exactly. Raises: RequestShapeError."""
    return sum(_words(content, param) + len(title.split()) for param, content, title in contents)


def _words(content: Any, param: str) -> int:
    if isinstance(content, str):
        return len(content.split())
    parts = listed(named(content, param).get("parts"))
    texts = (part if isinstance(part, str) else named(part, param).get("text") for part in parts)
    return sum(len(text.split()) for text in texts if isinstance(text, str))
