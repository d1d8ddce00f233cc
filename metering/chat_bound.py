"""The most prompt tokens a chat request can be billed for, and how far that can be trusted."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import msgspec

from metering.allowances import NONE, Allowances
from metering.chat_messages import (
    count_message,
    message_rule_of,
    read_message,
    refuse_long_cache,
    refuse_unbounded_parts,
    text_of,
)
from metering.chat_request import ChatRequest, is_given, parse_unique
from metering.count_cache import CountCache
from metering.errors import RequestShapeError, Uncountable
from metering.model_families import CountRule, Family, family_of
from metering.quote import BoundClass, InputBound
from metering.tokens import Encoding, byte_bound, count, encoding_for

# OpenAI writes to its cache unasked (gpt-5.6 on) and has one lifetime; no request of its dialect causes the other.
_TEXT_BUCKETS = ("input", "cache_read", "cache_write_5m")

_PRIMING_TOKENS = 3
_SIM_MESSAGE_TOKENS = 4
_SIM_REQUEST_TOKENS = 2
_SCHEMA_TOKENS = 16
# A template's own preamble where the model is not known to us; with tools some write a page of instructions.
_TEMPLATE_TOKENS = 512
_TEMPLATE_TOOLS_TOKENS = 1024
# The margin of the fitted recipe: 1 of 1,285 recorded requests came out above it.
_MARGIN_TOKENS = 4
_MARGIN_DIVISOR = 100

# Fields whose price or size nobody knows before the call.
UNBOUNDED = {
    "prediction": "rejected prediction tokens are billed as output beyond the cap",
    "web_search_options": "searches and what they add to the prompt are billed on top",
    "search_parameters": "searches and what they add to the prompt are billed on top",
    "plugins": "what a plugin adds to the prompt or the bill is not known",
    "models": "the call may be routed to a model that was not priced",
    "chat_template": "a template may repeat the prompt any number of times",
    "best_of": "answers that are generated and thrown away are billed",
    "data_sources": "what is looked up and added to the prompt is not in the request",
    "enable_search": "searches and what they add to the prompt are billed on top",
    "extra_body": "it may name a prompt that was cached elsewhere",
    "preset": "the call may be routed to a model that was not priced",
}
# Groq's compound systems took up to 100 times their visible prompt in recorded calls.
_ROUNDS = re.compile(r"gpt-.*search|(^|/)compound|deep-research")
# Who serves OpenAI's models with OpenAI's tokenizers and framing.
_OPENAI_HOSTS = frozenset({"openai", "azure"})
_recent: CountCache[int] = CountCache(8192)


def bound_chat(
    request: ChatRequest, *, provider: str = "openai", allowances: Allowances = NONE
) -> InputBound:
    """Bound a chat request's prompt tokens from above.

    A name such as ``gpt-4o`` says how tokens are counted only where the provider is who made it.

    Raises: Uncountable for a part without a known bound; RequestShapeError for a message of no known shape.
    """
    for name, why in UNBOUNDED.items():
        if is_given(getattr(request, name)):
            raise Uncountable(name, why)
    if _goes_round(request.model):
        raise Uncountable(
            "model", "a model that searches or runs tools by itself re-bills the prompt every round"
        )
    family = family_of(request.model)
    if family.rule is CountRule.WORDS:
        return _bound(_count_words(request), BoundClass.EXACT)
    if family.rule is CountRule.BYTES or provider not in _OPENAI_HOSTS:
        return _bound(_count_bytes(request), BoundClass.HARD)
    return _bound_tokens(request, family)


@lru_cache(maxsize=4096)
def _goes_round(model: str) -> bool:
    return _ROUNDS.search(model) is not None


def _bound(tokens: int, bound_class: BoundClass, images: int = 0) -> InputBound:
    return InputBound(tokens, bound_class, image_tokens=images, text_buckets=_TEXT_BUCKETS)


def _bound_tokens(request: ChatRequest, family: Family) -> InputBound:
    encoding = encoding_for(request.model)
    plain = family.rule is CountRule.FRAMING
    rule = message_rule_of(request.model)
    exact = bound = _PRIMING_TOKENS
    images = 0
    for place, raw in enumerate(request.messages):
        message = count_message(raw, place, rule)
        plain = plain and message.plain
        exact += message.tokens
        bound += message.tokens + message.surcharge_tokens
        images += message.image_tokens
    beside = _count_beside(request, family, encoding)
    if plain and not beside:
        return _bound(exact, BoundClass.EXACT)
    bound += beside + family.request_tokens
    return _bound(bound + max(_MARGIN_TOKENS, -(-bound // _MARGIN_DIVISOR)), BoundClass.EMPIRICAL, images)


def _count_beside(request: ChatRequest, family: Family, encoding: Encoding) -> int:
    """What stands in the prompt beside the messages: tools and the schema of the answer."""
    tokens = 0
    for name in ("tools", "functions"):
        raw = getattr(request, name)
        if is_given(raw):
            _refuse_server_tools(raw, name)
            tokens += _json_tokens(raw, name, encoding) + family.tools_tokens
    if request.answer_type not in ("", "text", "json_object"):
        tokens += _json_tokens(request.response_format, "response_format", encoding) + _SCHEMA_TOKENS
    return tokens


def _json_tokens(raw: msgspec.Raw, name: str, encoding: Encoding) -> int:
    content = bytes(raw)
    key = _recent.key_of(content, encoding.encode())
    tokens = _recent.get(key)
    if tokens is None:
        tokens = count(_compact(parse_unique(content, name)), encoding)
        _recent.put(key, tokens)
    return tokens


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _refuse_server_tools(raw: msgspec.Raw, name: str) -> None:
    """A tool that runs at the provider adds prompts and fees that nobody knows before the call."""
    tools = parse_unique(raw, name)
    if not isinstance(tools, list):
        raise RequestShapeError(f"{name} must be a list", name)
    for place, tool in enumerate(tools):
        kind = tool.get("type", "function") if isinstance(tool, dict) else None
        if kind not in ("function", "custom"):
            raise Uncountable(
                f"{name}[{place}]", "tools that run at the provider re-bill the prompt every round"
            )
        for marked in (tool, tool.get(kind)):
            if isinstance(marked, dict):
                refuse_long_cache(marked.get("cache_control"), f"{name}[{place}]")


def _count_words(request: ChatRequest) -> int:
    """The simulator's published rule: words of the messages' text, bytes of what stands beside them."""
    tokens = _SIM_REQUEST_TOKENS
    for place, raw in enumerate(request.messages):
        texts = text_of(read_message(raw, place), place)
        tokens += _SIM_MESSAGE_TOKENS + sum(len(text.split()) for text in texts)
    for name in ("tools", "response_format"):
        raw = getattr(request, name)
        if is_given(raw):
            tokens += byte_bound(_compact(parse_unique(raw, name)))
    return tokens


def _count_bytes(request: ChatRequest) -> int:
    """Every token covers at least one byte of the body, whose own syntax covers the framing, or of the template."""
    for place, raw in enumerate(request.messages):
        refuse_unbounded_parts(read_message(raw, place), place)
    refuse_long_cache(parse_unique(request.cache_control, "cache_control"), "body")
    tokens = request.body_bytes + _TEMPLATE_TOKENS
    for name in ("tools", "functions"):
        raw = getattr(request, name)
        if is_given(raw):
            _refuse_server_tools(raw, name)
            tokens += _TEMPLATE_TOOLS_TOKENS
    return tokens
