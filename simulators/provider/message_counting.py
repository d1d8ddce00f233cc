"""The simulator's own token rule for Anthropic's prompts, as the package's docstring publishes it."""

from __future__ import annotations

from simulators.provider.counting import PER_MESSAGE_TOKENS, PER_REQUEST_TOKENS, compact_bytes


def count_messages(body: dict[str, object]) -> int | None:
    """Count the prompt tokens of a Messages request, or None when its messages have no readable shape."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    system = _count_words(body.get("system") or "")
    if system is None:
        return None
    tokens = PER_REQUEST_TOKENS + system
    for message in messages:
        words = _count_words(message.get("content")) if isinstance(message, dict) else None
        if words is None:
            return None
        tokens += PER_MESSAGE_TOKENS + words
    for name in ("tools", "output_format", "output_config"):
        if body.get(name) is not None:
            tokens += compact_bytes(body[name])
    return tokens


def _count_words(content: object) -> int | None:
    if isinstance(content, str):
        return len(content.split())
    if not isinstance(content, list):
        return None
    words = 0
    for block in content:
        if not isinstance(block, dict):
            return None
        if block.get("type") == "text" and isinstance(block.get("text"), str):
            words += len(block["text"].split())
        elif block.get("type") == "tool_result":
            words += _count_words(block.get("content") or "") or 0
    return words
