"""The simulator's own token rule for Responses prompts, as the package's docstring publishes it."""

from __future__ import annotations

from simulators.provider.counting import PER_MESSAGE_TOKENS, PER_REQUEST_TOKENS, compact_bytes


def count_responses(body: dict[str, object]) -> int | None:
    """Count the prompt tokens of a Responses request, or None when its input has no readable shape."""
    tokens = PER_REQUEST_TOKENS
    for name in ("instructions", "input"):
        given = body.get(name)
        if given is None:
            continue
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        if not isinstance(items, list):
            return None
        for item in items:
            words = _count_item(item)
            if words is None:
                return None
            tokens += PER_MESSAGE_TOKENS + words
    for name in ("tools", "text"):
        if body.get(name) is not None:
            tokens += compact_bytes(body[name])
    return tokens


def _count_item(item: object) -> int | None:
    if not isinstance(item, dict):
        return None
    match item.get("type", "message"):
        case "message":
            return _count_words(item.get("content"))
        case "function_call":
            return len(str(item.get("name") or "").split()) + len(str(item.get("arguments") or "").split())
        case "function_call_output":
            return _count_words(item.get("output"))
        case "reasoning":
            return 0
    return None


def _count_words(content: object) -> int | None:
    if content is None:
        return 0
    if isinstance(content, str):
        return len(content.split())
    if not isinstance(content, list):
        return None
    parts = [part for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return sum(len(part["text"].split()) for part in parts)
