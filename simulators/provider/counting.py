"""The simulator's own token rule for prompts, as the package's docstring publishes it."""

from __future__ import annotations

import json

PER_REQUEST_TOKENS = 2
PER_MESSAGE_TOKENS = 4


def count_prompt(body: dict[str, object]) -> int | None:
    """Count the prompt tokens of a chat request, or None when its messages have no readable shape."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    tokens = PER_REQUEST_TOKENS
    for message in messages:
        words = _count_words(message.get("content")) if isinstance(message, dict) else None
        if words is None:
            return None
        tokens += PER_MESSAGE_TOKENS + words
    for name in ("tools", "response_format"):
        if body.get(name) is not None:
            tokens += compact_bytes(body[name])
    return tokens


def _count_words(content: object) -> int | None:
    if content is None:
        return 0
    if isinstance(content, str):
        return len(content.split())
    if not isinstance(content, list):
        return None
    return sum(
        len(part["text"].split())
        for part in content
        if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def compact_bytes(value: object) -> int:
    """Count the UTF-8 bytes of a value as compact JSON."""
    # A lone surrogate is legal in JSON and has no UTF-8; it is counted, not a reason to fail.
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
