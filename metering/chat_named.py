"""The bound of a chat prompt for a model of another tokenizer than OpenAI's, by the family its name says it is of."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from metering.chat_beside import compact, count_looked_up, count_tools
from metering.chat_families import NamedFamily
from metering.chat_messages import calls_of, content_parts, count_media, read_message, refuse_long_cache
from metering.chat_parts import TEXT_PARTS, Parts
from metering.chat_request import ChatRequest, is_given, parse_unique
from metering.count_cache import CountCache
from metering.tokens import byte_bound, count

_O200K = 100  # percent of itself
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_CACHED_BYTES_MIN = 512
_FRAMED = frozenset({"role", "content", "tool_calls", "function_call", "audio", "cache_control"})
_texts: CountCache[int] = CountCache()


def count_named(request: ChatRequest, family: NamedFamily, parts: Parts) -> int:
    """Bound a prompt's tokens for a family. Raises: Uncountable; RequestShapeError."""
    tokens = family.request_tokens + count_looked_up(request, parts)
    for place, raw in enumerate(request.messages):
        message = read_message(raw, place)
        tokens += family.message_tokens + count_media(message, place, parts)
        tokens += family.call_tokens * len(calls_of(message) or ())
        tokens += _message_text_tokens(raw, message, place, family)
    refuse_long_cache(parse_unique(request.cache_control, "cache_control"), "body")
    tools = count_tools(request, "o200k_base", parts)
    if tools.number:
        definitions = _raised(tools.tokens, family)
        tokens += definitions + family.tools_tokens + tools.number * family.tool_tokens + tools.run_tokens
    if request.answer_type not in ("", "text"):
        schema = compact(parse_unique(request.response_format, "response_format"))
        tokens += family.format_tokens + text_tokens(schema, family)
    if is_given(request.documents):
        tokens += text_tokens(compact(parse_unique(request.documents, "documents")), family)
    return tokens


def text_tokens(text: str, family: NamedFamily) -> int:
    """Bound a text's tokens: of ASCII by o200k's count, of all else by its bytes, of digits one by one."""
    if family.percent == _O200K:
        return count(text, "o200k_base")
    plain, others = text, 0
    if not text.isascii():
        plain, others = _BEYOND_ASCII.subn(" ", text)
    beyond_bytes = byte_bound(text) - (len(text) - others) if others else 0
    digits = sum(map(plain.count, "0123456789"))
    # o200k takes up to three digits in one.
    return _raised(count(plain, "o200k_base"), family) + -(-digits * 2 // 3) + beyond_bytes


def _raised(tokens: int, family: NamedFamily) -> int:
    return -(-tokens * family.percent // 100)


def _message_text_tokens(raw: msgspec.Raw, message: dict[str, Any], place: int, family: NamedFamily) -> int:
    content = bytes(raw)
    if len(content) < _CACHED_BYTES_MIN:
        return sum(text_tokens(text, family) for text in _texts_of(message, place))
    key = _texts.key_of(content, b"%d" % family.percent)
    known = _texts.get(key)
    if known is None:
        known = sum(text_tokens(text, family) for text in _texts_of(message, place))
        _texts.put(key, known)
    return known


def _texts_of(message: dict[str, Any], place: int) -> list[str]:
    """All that is written in a message; what a tool gave back as it is shown, in JSON."""
    is_result = message["role"] in ("tool", "function")
    texts = []
    for part in content_parts(message, place):
        if part["type"] in TEXT_PARTS:
            text = part[part["type"]]
            texts.append(compact(text) if is_result else text)
        elif part["type"] == "thinking":
            texts.append(compact(part))
    for call in calls_of(message) or ():
        function = call.get("function", call.get("custom")) if isinstance(call, dict) else call
        texts.append(compact(function))
    texts += [
        value if isinstance(value, str) else compact(value)
        for name, value in message.items()
        if name not in _FRAMED and value is not None
    ]
    return texts
