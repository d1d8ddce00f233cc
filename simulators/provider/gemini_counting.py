"""The simulator's own token rule for Gemini's prompts, as the package's docstring publishes it."""

from __future__ import annotations

from simulators.provider.counting import PER_MESSAGE_TOKENS, PER_REQUEST_TOKENS, compact_bytes


def either(fields: object, name: str) -> object:
    """Read a field in Google's two spellings: camel case, or words joined by underscores."""
    if not isinstance(fields, dict):
        return None
    if fields.get(name) is not None:
        return fields[name]
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return fields.get(snake)


def count_gemini(body: dict[str, object]) -> int | None:
    """Count the prompt tokens of a generateContent request, or None when its turns have no readable shape."""
    contents = listed(body.get("contents"))
    words = [count_words(content) for content in contents]
    if not contents or None in words:
        return None
    system = count_words(either(body, "systemInstruction") or "")
    tokens = PER_REQUEST_TOKENS + (system or 0)
    tokens += sum(PER_MESSAGE_TOKENS + (count or 0) for count in words)
    config = either(body, "generationConfig")
    for value in (body.get("tools"), either(config, "responseSchema"), either(config, "responseJsonSchema")):
        if value is not None:
            tokens += compact_bytes(value)
    return tokens


def count_words(content: object) -> int | None:
    """Count the words of a turn's text parts, or None where it is no turn."""
    if isinstance(content, str):
        return len(content.split())
    if not isinstance(content, dict):
        return None
    words = 0
    for part in listed(content.get("parts")):
        text = part.get("text") if isinstance(part, dict) else part
        words += len(text.split()) if isinstance(text, str) else 0
    return words


def listed(value: object) -> list[object]:
    """Return a list as it is, and anything else as the only one of its kind."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
