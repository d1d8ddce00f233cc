"""Tokens of one chat message: exact for plain text under the documented framing, bounded for all else."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import msgspec

from metering.chat_request import parse_unique
from metering.count_cache import CountCache
from metering.errors import RequestShapeError, Uncountable
from metering.images import image_tokens
from metering.model_families import Family, family_of, image_rule_of
from metering.tokens import Encoding, byte_bound, count, count_exact, encoding_for

MESSAGE_TOKENS = 3
_CACHED_BYTES_MIN = 512  # below, counting is quicker than remembering
_PLAIN_FIELDS = frozenset({"role", "content", "name"})
_PLAIN_ROLES = frozenset({"system", "user", "assistant", "developer"})
# Parts that are not text, and why they have no bound.
_UNBOUNDED_PARTS = {
    "file": "the tokens of a document depend on its pages",
    "input_audio": "the tokens of a recording depend on its length",
    "video_url": "the tokens of a film depend on its length",
}


class MessageCount(NamedTuple):
    """One message's tokens: exact where ``plain``; with the surcharge on top an upper bound."""

    tokens: int
    surcharge_tokens: int
    plain: bool
    image_tokens: int = 0


class MessageRule(NamedTuple):
    """How one model's messages are counted; ``tag`` tells apart the rules whose counts differ for the same text."""

    family: Family
    encoding: Encoding
    model: str
    tag: bytes


_counts: CountCache[MessageCount] = CountCache()


@lru_cache(maxsize=4096)
def message_rule_of(model: str) -> MessageRule:
    """Return how a model's messages are counted."""
    family, encoding = family_of(model), encoding_for(model)
    return MessageRule(family, encoding, model, f"{encoding[0]}{family.name}"[:16].encode())


def count_message(raw: msgspec.Raw, place: int, rule: MessageRule) -> MessageCount:
    """Count one message for a model whose tokenizer is public.

    Raises: Uncountable for a part without a known bound; RequestShapeError for a message of no known shape.
    """
    content = bytes(raw)
    if len(content) < _CACHED_BYTES_MIN:
        return _count(raw, place, rule)
    key = _counts.key_of(content, rule.tag)
    known = _counts.get(key)
    if known is None:
        known = _count(raw, place, rule)
        if not known.image_tokens:  # pictures cost by model, text by family and encoding alone
            _counts.put(key, known)
    return known


def text_of(message: dict[str, Any], place: int) -> list[str]:
    """The texts of a message's content, whose other parts are passed over. Raises: RequestShapeError."""
    return [part["text"] for part in _parts(message, place) if part["type"] == "text"]


def read_message(raw: msgspec.Raw, place: int) -> dict[str, Any]:
    """Parse one message. Raises: RequestShapeError unless it is an object with a role."""
    message = parse_unique(raw, f"messages[{place}]")
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestShapeError(f"messages[{place}] must be an object with a role", f"messages[{place}]")
    return message


def refuse_unbounded_parts(message: dict[str, Any], place: int) -> None:
    """Raise Uncountable for any part of a message that is not text, or is to be cached for long."""
    refuse_long_cache(message.get("cache_control"), f"messages[{place}]")
    for number, part in enumerate(_parts(message, place)):
        if part["type"] not in ("text", "refusal"):
            _refuse_part(part, f"messages[{place}].content[{number}]")
        refuse_long_cache(part.get("cache_control"), f"messages[{place}].content[{number}]")
    if message.get("audio") is not None:
        raise Uncountable(
            f"messages[{place}].audio", "what an earlier answer's sound costs is not in the request"
        )


def refuse_long_cache(cache_control: Any, param: str) -> None:
    """Raise Uncountable for a mark of Anthropic's (OpenRouter passes it on) that keeps a prompt for an hour.

    It costs more than five minutes do, and usage reports of this dialect do not tell the two apart.
    """
    if isinstance(cache_control, dict) and cache_control.get("ttl") not in (None, "5m"):
        raise Uncountable(f"{param}.cache_control", "usage does not say for how long it was cached")


def _count(raw: msgspec.Raw, place: int, rule: MessageRule) -> MessageCount:
    message = read_message(raw, place)
    content = message.get("content")
    plain = message["role"] in _PLAIN_ROLES and message.keys() <= _PLAIN_FIELDS
    if plain and isinstance(content, str):
        return _count_plain(message, [content], rule)
    if plain and isinstance(content, list) and all(part["type"] == "text" for part in _parts(message, place)):
        return _count_plain(message, text_of(message, place), rule)
    return _count_other(message, place, rule)


def _count_plain(message: dict[str, Any], texts: list[str], rule: MessageRule) -> MessageCount:
    tokens = MESSAGE_TOKENS + count(message["role"], rule.encoding)
    plain = True
    for text in texts:
        exact = count_exact(text, rule.encoding)
        plain = plain and exact is not None
        tokens += byte_bound(text) if exact is None else exact
    name = message.get("name")
    if name is not None:
        tokens += 1 + count(_string(name), rule.encoding)
    return MessageCount(tokens, len(texts), plain)


def _count_other(message: dict[str, Any], place: int, rule: MessageRule) -> MessageCount:
    """Bound a message with parts, tool calls or fields of unknown framing: all that stands in it, and margins."""
    tokens = MESSAGE_TOKENS + count(message["role"], rule.encoding)
    pictures = surcharge = 0
    for number, part in enumerate(_parts(message, place)):
        surcharge += 1
        if part["type"] == "image_url":
            pictures += _picture(part, f"messages[{place}].content[{number}]", rule.model)
            surcharge += 1
        elif part["type"] in ("text", "refusal"):
            tokens += _text_tokens(part[part["type"]], message["role"], rule.encoding)
        else:
            _refuse_part(part, f"messages[{place}].content[{number}]")
    for name, value in message.items():
        if name not in ("role", "content") and value is not None:
            tokens += _field_tokens(name, value, place, rule)
    return MessageCount(tokens + pictures, surcharge, plain=False, image_tokens=pictures)


def _field_tokens(name: str, value: Any, place: int, rule: MessageRule) -> int:
    """Tokens of a message's field beside role and content."""
    if name == "audio":
        raise Uncountable(
            f"messages[{place}].audio", "what an earlier answer's sound costs is not in the request"
        )
    if name == "tool_call_id":
        return 2
    calls = value if name == "tool_calls" else [{"function": value}] if name == "function_call" else None
    if isinstance(calls, list):
        return sum(_call_tokens(call, rule) for call in calls)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return 2 + count(text, rule.encoding)


def _call_tokens(call: Any, rule: MessageRule) -> int:
    function = call.get("function", call.get("custom")) if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return rule.family.tool_call_tokens + count(json.dumps(call, ensure_ascii=False), rule.encoding)
    texts = [text for text in function.values() if isinstance(text, str)]
    return rule.family.tool_call_tokens + sum(count(text, rule.encoding) for text in texts)


def _text_tokens(text: str, role: str, encoding: Encoding) -> int:
    tokens = count(text, encoding)
    if role not in ("tool", "function"):
        return tokens
    # Results of parallel calls are shown to the model as JSON strings.
    return max(tokens, count(json.dumps(text, ensure_ascii=False), encoding))


def _picture(part: dict[str, Any], param: str, model: str) -> int:
    picture = part.get("image_url")
    url = picture.get("url") if isinstance(picture, dict) else picture
    if not isinstance(url, str):
        raise RequestShapeError(f"{param}.image_url must have a url", f"{param}.image_url")
    rule = image_rule_of(model)
    if rule is None:
        raise Uncountable(f"{param}.image_url", f"what a picture costs on {model} is not known")
    detail = picture.get("detail") if isinstance(picture, dict) else None
    return image_tokens(rule, url, detail if isinstance(detail, str) else "auto")


def _parts(message: dict[str, Any], place: int) -> list[dict[str, Any]]:
    """A message's content as parts, each with its type and, where it is text, a string."""
    content = message.get("content")
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    param = f"messages[{place}].content"
    if not isinstance(content, list):
        raise RequestShapeError(f"{param} must be a string or a list of parts", param)
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or (kind in ("text", "refusal") and not isinstance(part.get(kind), str)):
            raise RequestShapeError(f"{param}[{number}] is no content part", f"{param}[{number}]")
    return content


def _refuse_part(part: dict[str, Any], param: str) -> NoReturn:
    kind = part["type"]
    raise Uncountable(f"{param}.{kind}", _UNBOUNDED_PARTS.get(kind, "parts of this type have no known bound"))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
