"""Tokens of one chat message: exact for plain text under the documented framing, bounded for all else."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from metering.chat_parts import TEXT_PARTS, Parts
from metering.chat_request import parse_unique
from metering.count_cache import CountCache
from metering.errors import RequestShapeError, Uncountable
from metering.model_families import Family, family_of
from metering.tokens import Encoding, byte_bound, count, count_exact, encoding_for

MESSAGE_TOKENS = 3
_CACHED_BYTES_MIN = 512  # below, counting is quicker than remembering
_PLAIN_FIELDS = frozenset({"role", "content", "name"})
_CALL_FIELDS = frozenset({"id", "type", "index"})
_PLAIN_ROLES = frozenset({"system", "user", "assistant", "developer"})


class MessageCount(NamedTuple):
    """One message's tokens: exact where ``plain``; with the surcharge on top an upper bound."""

    tokens: int
    surcharge_tokens: int
    plain: bool
    is_text: bool = True


class MessageRule(NamedTuple):
    """How one model's messages are counted; ``tag`` tells apart the rules whose counts differ for the same text."""

    family: Family
    encoding: Encoding
    tag: bytes


_counts: CountCache[MessageCount] = CountCache()


@lru_cache(maxsize=4096)
def message_rule_of(model: str) -> MessageRule:
    """Return how a model's messages are counted."""
    family, encoding = family_of(model), encoding_for(model)
    return MessageRule(family, encoding, f"{encoding[0]}{family.name}"[:16].encode())


def count_message(raw: msgspec.Raw, place: int, rule: MessageRule, parts: Parts) -> MessageCount:
    """Count one message for a model whose tokenizer is public; what is not text is also noted in ``parts``.

    Raises: Uncountable for a part without a known bound; RequestShapeError for a message of no known shape.
    """
    content = bytes(raw)
    if len(content) < _CACHED_BYTES_MIN:
        return _count(raw, place, rule, parts)
    key = _counts.key_of(content, rule.tag)
    known = _counts.get(key)
    if known is None:
        known = _count(raw, place, rule, parts)
        if known.is_text:  # pictures cost by model, text by family and encoding alone
            _counts.put(key, known)
    return known


def text_of(message: dict[str, Any], place: int) -> list[str]:
    """The texts of a message's content, whose other parts are passed over. Raises: RequestShapeError."""
    return [part["text"] for part in content_parts(message, place) if part["type"] == "text"]


def read_message(raw: msgspec.Raw, place: int) -> dict[str, Any]:
    """Parse one message. Raises: RequestShapeError unless it is an object with a role."""
    message = parse_unique(raw, f"messages[{place}]")
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestShapeError(f"messages[{place}] must be an object with a role", f"messages[{place}]")
    return message


def count_media(message: dict[str, Any], place: int, parts: Parts) -> int:
    """Bound what is not text in a message, and refuse what is to be cached for long. Raises: Uncountable."""
    refuse_long_cache(message.get("cache_control"), f"messages[{place}]")
    tokens = 0
    for number, part in enumerate(content_parts(message, place)):
        param = f"messages[{place}].content[{number}]"
        refuse_long_cache(part.get("cache_control"), param)
        if part["type"] not in TEXT_PARTS and not is_thinking(part):
            tokens += parts.count(part, param)
    if message.get("audio") is not None:
        tokens += _count_spoken(place, parts)
    return tokens


def is_thinking(part: dict[str, Any]) -> bool:
    """Tell an earlier answer's thinking, which is text, in Mistral's and Anthropic's form."""
    return part["type"] == "thinking" and isinstance(part.get("thinking"), str | list)


def refuse_long_cache(cache_control: Any, param: str) -> None:
    """Raise Uncountable for a mark of Anthropic's (OpenRouter passes it on) that keeps a prompt for an hour.

    It costs more than five minutes do, and usage reports of this dialect do not tell the two apart.
    """
    if isinstance(cache_control, dict) and cache_control.get("ttl") not in (None, "5m"):
        raise Uncountable(f"{param}.cache_control", "usage does not say for how long it was cached")


def _count_spoken(place: int, parts: Parts) -> int:
    why = "what an earlier answer's sound costs is not in the request"
    tokens = parts.allow("audio", f"messages[{place}].audio", why)
    parts.audio_tokens += tokens
    return tokens


def _count(raw: msgspec.Raw, place: int, rule: MessageRule, parts: Parts) -> MessageCount:
    message = read_message(raw, place)
    content = message.get("content")
    plain = message["role"] in _PLAIN_ROLES and message.keys() <= _PLAIN_FIELDS
    if plain and isinstance(content, str):
        return _count_plain(message, [content], rule)
    if (
        plain
        and isinstance(content, list)
        and all(part["type"] == "text" for part in content_parts(message, place))
    ):
        return _count_plain(message, text_of(message, place), rule)
    return _count_other(message, place, rule, parts)


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


def _count_other(message: dict[str, Any], place: int, rule: MessageRule, parts: Parts) -> MessageCount:
    """Bound a message with parts, tool calls or fields of unknown framing: all that stands in it, and margins."""
    tokens = MESSAGE_TOKENS + count(message["role"], rule.encoding)
    surcharge, is_text = 0, message.get("audio") is None
    for number, part in enumerate(content_parts(message, place)):
        surcharge += 1
        if part["type"] in TEXT_PARTS:
            tokens += _text_tokens(part[part["type"]], message["role"], rule.encoding)
        else:
            is_text = False
            surcharge += 1
            tokens += parts.count(part, f"messages[{place}].content[{number}]")
    for name, value in message.items():
        if name == "audio" and value is not None:
            tokens += _count_spoken(place, parts)
        elif name not in ("role", "content") and value is not None:
            tokens += _field_tokens(name, value, rule)
    return MessageCount(tokens, surcharge, plain=False, is_text=is_text)


def _field_tokens(name: str, value: Any, rule: MessageRule) -> int:
    """Tokens of a message's field beside role and content."""
    if name == "tool_call_id":
        return 2
    calls = calls_of({name: value})
    if calls is not None:
        return sum(_call_tokens(call, rule) for call in calls)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return 2 + count(text, rule.encoding)


def calls_of(message: dict[str, Any]) -> list[Any] | None:
    """The tool calls of an earlier answer, in the form of today or the first one; None where there are none."""
    if message.get("function_call") is not None:
        return [{"function": message["function_call"]}]
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) else None


def _call_tokens(call: Any, rule: MessageRule) -> int:
    function = call.get("function", call.get("custom")) if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return rule.family.tool_call_tokens + count(json.dumps(call, ensure_ascii=False), rule.encoding)
    texts = [text for text in function.values() if isinstance(text, str)]
    # What is no text where text belongs, or stands beside the call, some servers write out as JSON.
    odd = {name: value for name, value in function.items() if not isinstance(value, str)}
    odd |= {name: value for name, value in call.items() if name not in _CALL_FIELDS and value is not function}
    texts += [json.dumps(odd, ensure_ascii=False)] if odd else []
    return rule.family.tool_call_tokens + sum(count(text, rule.encoding) for text in texts)


def _text_tokens(text: str, role: str, encoding: Encoding) -> int:
    tokens = count(text, encoding)
    if role not in ("tool", "function"):
        return tokens
    # Results of parallel calls are shown to the model as JSON strings.
    return max(tokens, count(json.dumps(text, ensure_ascii=False), encoding))


def content_parts(message: dict[str, Any], place: int) -> list[dict[str, Any]]:
    """A message's content as parts, each with its type and, where it is text, a string. Raises: RequestShapeError."""
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


def _string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
