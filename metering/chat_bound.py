"""The most prompt tokens a chat request can be billed for, and how far that can be trusted."""

from __future__ import annotations

import re
from functools import lru_cache, partial

import msgspec

from metering.allowances import NONE, Allowances
from metering.chat_beside import (
    ALLOWABLE,
    UNBOUNDED,
    compact,
    count_json,
    count_looked_up,
    count_tools,
    refuse_unbounded,
)
from metering.chat_families import NamedFamily, named_family, plain_name
from metering.chat_messages import (
    count_media,
    count_message,
    message_rule_of,
    read_message,
    refuse_long_cache,
    text_of,
)
from metering.chat_named import count_named
from metering.chat_parts import Parts, PictureRule, no_picture, size_of
from metering.chat_request import ChatRequest, is_given, parse_unique
from metering.empirical import constant
from metering.hidden_prompts import hidden_prompt_tokens
from metering.images import Pictures, image_tokens
from metering.model_families import CountRule, Family, family_of, image_rule_of
from metering.providers import Provider, find_provider, leaves_thinking_out
from metering.quote import BoundClass, InputBound
from metering.tokens import byte_bound, encoding_for, grown_bytes

__all__ = ["ALLOWABLE", "UNBOUNDED", "bound_chat"]

# OpenAI writes to its cache unasked (gpt-5.6 on) and has one lifetime; no request of its dialect causes the other.
_TEXT_BUCKETS = ("input", "cache_read", "cache_write_5m")

_PRIMING_TOKENS = 3
_SIM_MESSAGE_TOKENS = 4
_SIM_REQUEST_TOKENS = 2
# Each with its reason, source and sample in data/empirical.toml.
_SCHEMA_TOKENS = constant("chat", "schema_tokens")
_GRAMMAR_TOKENS = constant("chat", "grammar_tokens")
_MARGIN_TOKENS = constant("chat", "margin_tokens")
_MARGIN_PERCENT = constant("chat", "margin_percent")
_ELSEWHERE_TOKENS = constant("chat", "elsewhere_tokens")
# A template's own preamble where the model is not known to us; with tools some write a page of instructions.
_TEMPLATE_TOKENS = 512
_TEMPLATE_TOOLS_TOKENS = 1024
# A token of sound is a tenth of a second. Source: OpenAI's guide "Managing costs" of its Realtime API, read to 2026-11.
_AUDIO_TOKENS_PER_SECOND = 10
# Groq's compound systems took up to 100 times their visible prompt in recorded calls.
_ROUNDS = re.compile(r"gpt-.*search|(^|/)compound|deep-research")
_THINKING_ROUNDS = 2  # the answer, and as much again of thinking that its cap leaves out


def bound_chat(
    request: ChatRequest, *, provider: str = "openai", allowances: Allowances = NONE
) -> InputBound:
    """Bound a chat request's prompt tokens from above.

    A name such as ``gpt-4o`` says how tokens are counted only where the provider is known to serve that model by it.
    Raises: Uncountable for a part without a known bound; RequestShapeError for a message of no known shape.
    """
    refuse_unbounded(request)
    known = find_provider(provider)
    found = _bound_by_name(request, provider, known, allowances)
    leaves_out = known is not None and leaves_thinking_out(known.cap_leaves_out, request.model)
    if leaves_out and not request.forgoes_thinking:
        found = msgspec.structs.replace(found, rounds=_THINKING_ROUNDS)
    return found


def _bound_by_name(
    request: ChatRequest, provider: str, known: Provider | None, allowances: Allowances
) -> InputBound:
    family = family_of(request.model)
    if family.rule is CountRule.WORDS:
        return _bound_words(request, allowances)
    tokenizers = known.tokenizers if known else "unknown"
    if tokenizers == "openai" and family.rule is not CountRule.BYTES:
        return _bound_tokens(request, family, _openai_parts(request.model, allowances))
    named = named_family(request.model, provider) if tokenizers != "unknown" else None
    # Where names are OpenAI's, another vendor's says nothing; those that Azure's customers choose do.
    if named is not None and (tokenizers == "named" or named.providers):
        return _bound_named(request, named, known, allowances)
    plain = plain_name(request.model)
    elsewhere = family_of(plain)
    if tokenizers == "named" and elsewhere.rule not in (CountRule.BYTES, CountRule.WORDS):
        there = msgspec.structs.replace(request, model=plain)
        parts = _openai_parts(plain, allowances)
        return _bound_tokens(there, elsewhere, parts, more_tokens=_ELSEWHERE_TOKENS)
    return _bound_bytes(request, known, allowances)


def _openai_parts(model: str, allowances: Allowances) -> Parts:
    """How parts that are not text are bounded on OpenAI's models."""
    picture, page_picture_tokens = _openai_pictures(model)
    return Parts(allowances, picture=picture, sound=_seconds_tokens, page_picture_tokens=page_picture_tokens)


@lru_cache(maxsize=4096)
def _openai_pictures(model: str) -> tuple[PictureRule, int | None]:
    """What a picture costs on a model, and what a page's costs, where that is known."""
    rule = image_rule_of(model)
    if rule is None:
        return no_picture, None
    return partial(image_tokens, rule), image_tokens(rule, "", "high")


def _seconds_tokens(seconds: int) -> int:
    return seconds * _AUDIO_TOKENS_PER_SECOND


def _pictures_of(family: NamedFamily | None, known: Provider | None) -> Pictures | None:
    return (known.pictures if known else None) or (family.pictures if family else None)


def _parts_by(pictures: Pictures | None, family: NamedFamily | None, allowances: Allowances) -> Parts:
    return Parts(
        allowances,
        picture=(lambda url, detail: pictures.tokens(size_of(url))) if pictures else no_picture,
        sound=family.audio.tokens if family and family.audio else None,
    )


def _rounds_tokens(request: ChatRequest, parts: Parts) -> int:
    """Return what the tenant lets stand for the rounds of a model that searches or runs tools by itself."""
    if not _goes_round(request.model):
        return 0
    why = "a model that searches or runs tools by itself re-bills the prompt every round"
    return parts.allow("server_tool", "model", why)


@lru_cache(maxsize=4096)
def _goes_round(model: str) -> bool:
    return _ROUNDS.search(model) is not None


def _bound(tokens: int, bound_class: BoundClass, parts: Parts) -> InputBound:
    return InputBound(
        tokens,
        BoundClass.EMPIRICAL if parts.allowed else bound_class,
        audio_tokens=parts.audio_tokens,
        image_tokens=parts.image_tokens,
        text_buckets=_TEXT_BUCKETS,
    )


def _bound_tokens(request: ChatRequest, family: Family, parts: Parts, *, more_tokens: int = 0) -> InputBound:
    encoding = encoding_for(request.model)
    rule = message_rule_of(request.model)
    plain = True
    exact = bound = _PRIMING_TOKENS
    for place, raw in enumerate(request.messages):
        message = count_message(raw, place, rule, parts)
        plain = plain and message.plain
        exact += message.tokens
        bound += message.tokens + (0 if message.plain else message.surcharge_tokens)
    beside = count_looked_up(request, parts) + _rounds_tokens(request, parts)
    tools = count_tools(request, encoding, parts)
    if tools.number:
        beside += tools.tokens + tools.run_tokens + family.tools_tokens
        beside += tools.grammars * _GRAMMAR_TOKENS
    if request.answer_type not in ("", "text", "json_object"):
        beside += count_json(request.response_format, "response_format", encoding) + _SCHEMA_TOKENS
    if is_given(request.documents):
        beside += count_json(request.documents, "documents", encoding)
    plain = plain and not beside
    if plain and family.rule is CountRule.FRAMING and not more_tokens:
        return _bound(exact, BoundClass.EXACT, parts)
    bound += beside + family.request_tokens + more_tokens + len(request.messages) * family.message_tokens
    least = family.margin_tokens if plain else _MARGIN_TOKENS
    margin = max(least, -(-bound * _MARGIN_PERCENT // 100))
    return _bound(bound + margin, BoundClass.EMPIRICAL, parts)


def _bound_named(
    request: ChatRequest, family: NamedFamily, known: Provider | None, allowances: Allowances
) -> InputBound:
    parts = _parts_by(_pictures_of(family, known), family, allowances)
    tokens = count_named(request, family, parts) + _rounds_tokens(request, parts)
    return _bound(tokens, BoundClass.EMPIRICAL, parts)


def _bound_words(request: ChatRequest, allowances: Allowances) -> InputBound:
    """The simulator's published rule: words of the messages' text, bytes of what stands beside them."""
    parts = Parts(allowances, picture=lambda url, detail: 0)
    tokens = _SIM_REQUEST_TOKENS + count_looked_up(request, parts)
    for place, raw in enumerate(request.messages):
        message = read_message(raw, place)
        texts = text_of(message, place)
        tokens += _SIM_MESSAGE_TOKENS + sum(len(text.split()) for text in texts)
        tokens += count_media(message, place, parts)
    for name in ("tools", "response_format"):
        raw = getattr(request, name)
        if is_given(raw):
            tokens += byte_bound(compact(parse_unique(raw, name)))
    return _bound(tokens, BoundClass.EXACT, parts)


def _bound_bytes(request: ChatRequest, known: Provider | None, allowances: Allowances) -> InputBound:
    """Every token covers at least one byte of the body, whose own syntax covers the framing, or of the template."""
    parts = _parts_by(_pictures_of(None, known), None, allowances)
    beside = (request.tools, request.functions, request.response_format, request.documents)
    tokens = request.body_bytes + _TEMPLATE_TOKENS + grown_bytes(*request.messages, *beside)
    for place, raw in enumerate(request.messages):
        tokens += count_media(read_message(raw, place), place, parts)
    refuse_long_cache(parse_unique(request.cache_control, "cache_control"), "body")
    tools = count_tools(request, "o200k_base", parts)
    if tools.number:
        tokens += _TEMPLATE_TOOLS_TOKENS + tools.run_tokens
    tokens += count_looked_up(request, parts) + _rounds_tokens(request, parts)
    hidden = hidden_prompt_tokens(request.model)
    bound_class = BoundClass.EMPIRICAL if hidden else BoundClass.HARD
    return _bound(tokens + hidden - parts.media_bytes, bound_class, parts)
