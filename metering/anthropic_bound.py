"""The most prompt tokens a Messages request can be billed for, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from metering.allowances import NONE, Allowances
from metering.anthropic_content import Counter, Open, Piece, lifetimes_of
from metering.anthropic_models import (
    BYTES_PER_TOKEN,
    CITATIONS_TOKENS,
    COMPACTION_TRIGGER_TOKENS,
    O200K_PERCENT,
    PAGE_TEXT_TOKENS,
    PAGES_MAX,
    PAGES_MAX_SMALL_CONTEXT,
    REQUEST_TOKENS,
    SCHEMA_TOKENS,
    SMALL_CONTEXT_TOKENS,
    TOOLS_TOKENS,
    image_tokens_max,
    rule_of,
)
from metering.anthropic_request import MessagesRequest, given
from metering.anthropic_rounds import Use, compactions_of, elsewhere_of, rounds_of, uses_of
from metering.anthropic_tools import Tools, read_surroundings, read_tools
from metering.anthropic_words import count_words
from metering.chat_request import parse_unique
from metering.count_cache import CountCache
from metering.errors import RequestShapeError, Uncountable
from metering.limits import ModelLimits, limits_for
from metering.model_families import CountRule
from metering.quote import TEXT_BUCKETS, BoundClass, InputBound, with_slack
from metering.rates import REGION_PERCENT
from metering.tokens import grown_bytes

_CACHED_BYTES_MIN = 512  # below, counting is quicker than remembering
# A template's own preamble where the model is not known to us; with tools some write a page of instructions.
_TEMPLATE_TOKENS = 512
_TEMPLATE_TOOLS_TOKENS = 1024
# What a request can be billed as, by how long it asks for anything to be cached.
_BUCKETS = (("input",), ("input", "cache_read", "cache_write_5m"), TEXT_BUCKETS)

# Fields whose price or size nobody knows before the call.
UNBOUNDED = {"fallbacks": "the call may be answered, and billed, by a model that was not priced"}
# Edits that take out of the prompt, and the one that has it summed up; any other is not known.
_SHORTENING = ("clear_tool_uses_", "clear_thinking_")
_COMPACTION = "compact_"
_PRICED_REGIONS = frozenset({"", "global", *REGION_PERCENT})
# Who serves Claude, with Claude's tokenizers and prompts.
_CLAUDE_HOSTS = frozenset({"anthropic", "aws", "azure", "bedrock", "google", "vertex", "openrouter"})
_NOTHING_KNOWN = ModelLimits(None, None)
_pieces: CountCache[Piece] = CountCache()
_tools: CountCache[Tools] = CountCache()


class _Prompt(NamedTuple):
    """The first prompt of a call."""

    tokens: int
    bound_class: BoundClass
    text_buckets: tuple[str, ...] = TEXT_BUCKETS


def bound_messages(
    request: MessagesRequest,
    *,
    provider: str = "anthropic",
    allowances: Allowances = NONE,
    counted_tokens: int | None = None,
) -> InputBound:
    """Bound a Messages request's prompt tokens from above, those of every round where tools run at Anthropic.

    A name such as ``claude-…`` says how tokens are counted only where the provider serves the real one;
    ``counted_tokens`` is the provider's own count of the first prompt, where one was asked for.
    Raises: Uncountable for a part without a known bound; RequestShapeError for a part of no known shape.
    """
    _refuse_unbounded(request)
    trigger_tokens = _trigger_of(request)
    rule = rule_of(request.model)
    if rule is CountRule.RECIPE and provider not in _CLAUDE_HOSTS:
        rule = CountRule.BYTES
    surroundings = read_surroundings(request)
    tools = _tools_of(request).plus(surroundings)
    use = uses_of(tools.at_provider, allowances)
    limits = limits_for(request.model, "anthropic") or _NOTHING_KNOWN
    if counted_tokens is None:
        prompt = _prompt(request, rule, tools, allowances)
    else:
        # The endpoint takes no container, and is told nothing of its skills.
        prompt = _counted_prompt(request, tools, counted_tokens + surroundings.piece.fixed_tokens)
    return _over_rounds(request, prompt, use, limits=limits, trigger_tokens=trigger_tokens)


def _over_rounds(
    request: MessagesRequest, prompt: _Prompt, use: Use, *, limits: ModelLimits, trigger_tokens: int | None
) -> InputBound:
    cap_tokens = request.max_tokens or limits.output_tokens_max
    base_tokens, context = prompt.tokens + use.base_tokens, limits.input_tokens_max
    rounds = rounds_of(base_tokens, use.added, cap_tokens=cap_tokens, context=context)
    elsewhere = elsewhere_of(use, rounds)
    if trigger_tokens is not None:
        told_tokens = len(
            memoryview(request.context_management)
        )  # its instructions: no token is less than a byte
        summed_up = rounds._replace(tokens=rounds.tokens + rounds.answers * told_tokens)
        elsewhere += compactions_of(
            request.model, summed_up, trigger_tokens=trigger_tokens, cap_tokens=cap_tokens
        )
    alone = rounds.answers == 1 and not elsewhere
    return InputBound(
        rounds.tokens,
        prompt.bound_class if alone else BoundClass.EMPIRICAL,
        text_buckets=prompt.text_buckets,
        rounds=rounds.answers,
        extras=use.extras,
        elsewhere=elsewhere,
    )


def _prompt(request: MessagesRequest, rule: CountRule, tools: Tools, allowances: Allowances) -> _Prompt:
    """Bound the first prompt. Raises: Uncountable; RequestShapeError."""
    if rule is CountRule.WORDS:
        return _Prompt(count_words(request), BoundClass.EXACT)
    counted = _counted(request, tools, image_tokens_max(request.model) if rule is CountRule.RECIPE else 0)
    if rule is CountRule.BYTES:
        # Every token covers at least one byte of the body, whose own syntax covers the framing, or of the template.
        template = _TEMPLATE_TOKENS + (_TEMPLATE_TOOLS_TOKENS if given(request.tools) else 0)
        text = request.body_bytes + grown_bytes(*request.messages, request.system, request.tools)
        return _Prompt(text + template + counted.fixed_tokens, BoundClass.HARD)
    tokens = _fitted(request, counted)
    for part in counted.open_parts:
        tokens += _open_tokens(part, request.model, allowances)
    return _Prompt(tokens, BoundClass.EMPIRICAL, _buckets_of(request, counted))


def _counted_prompt(request: MessagesRequest, tools: Tools, counted_tokens: int) -> _Prompt:
    """Take the provider's own count for the first prompt; it has seen what we cannot."""
    try:
        buckets = _buckets_of(request, _counted(request, tools, image_tokens_max(request.model)))
    except Uncountable:
        buckets = TEXT_BUCKETS
    return _Prompt(with_slack(counted_tokens), BoundClass.EXACT, buckets)


def _counted(request: MessagesRequest, tools: Tools, image_max: int) -> Piece:
    counted = tools.piece
    for piece in _pieces_of(request, image_max):
        counted = counted.plus(piece)
    return counted


def _open_tokens(part: Open, model: str, allowances: Allowances) -> int:
    """What stands for a part that the request does not hold: an allowance, or a document's documented most.

    Raises: Uncountable.
    """
    allowed = allowances.find(part.kind)
    limits = limits_for(model, "anthropic")
    if part.kind != "document" or allowed is not None or limits is None or limits.input_tokens_max is None:
        return allowances.tokens_for(part.kind, part=part.part, why=part.why)
    context = limits.input_tokens_max
    pages = PAGES_MAX_SMALL_CONTEXT if context <= SMALL_CONTEXT_TOKENS else PAGES_MAX
    return min(context, pages * (PAGE_TEXT_TOKENS + image_tokens_max(model)))


def _buckets_of(request: MessagesRequest, counted: Piece) -> tuple[str, ...]:
    """Where the prompt may be reported, by how long anything of it is asked to be cached."""
    asked = lifetimes_of(parse_unique(request.cache_control, "cache_control"))
    return _BUCKETS[max(counted.cache_lifetimes, asked)]


def _fitted(request: MessagesRequest, counted: Piece) -> int:
    text = max(-(-counted.byte_thirds // BYTES_PER_TOKEN), -(-counted.tokens * O200K_PERCENT // 100))
    return (
        text
        + counted.fixed_tokens
        + REQUEST_TOKENS
        + TOOLS_TOKENS * (given(request.tools) or given(request.mcp_servers))
        + SCHEMA_TOKENS * (request.schema is not None)
        + CITATIONS_TOKENS * counted.citations
    )


def _pieces_of(request: MessagesRequest, image_max: int) -> Iterator[Piece]:
    if given(request.system):
        yield Counter(image_max).count_content(parse_unique(request.system, "system"), "system")
    for place, raw in enumerate(request.messages):
        yield _message(raw, f"messages[{place}]", image_max)
    for name in ("output_config", "output_format"):
        raw = getattr(request, name)
        if given(raw):
            yield Counter(0).count({name: parse_unique(raw, name)}, name)


def _message(raw: msgspec.Raw, param: str, image_max: int) -> Piece:
    rule = b"message%d" % image_max
    known = _remembered(raw, rule)
    if known is not None:
        return known
    message = parse_unique(raw, param)
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestShapeError(f"{param} must be an object with a role", param)
    return _remember(raw, rule, Counter(image_max).count(message, param))


def _tools_of(request: MessagesRequest) -> Tools:
    raw = request.tools
    if not given(raw):
        return Tools()
    key = _tools.key_of(bytes(raw), b"tools") if len(memoryview(raw)) >= _CACHED_BYTES_MIN else None
    found = _tools.get(key) if key else None
    if found is None:
        found = read_tools(parse_unique(raw, "tools"))
        if key:
            _tools.put(key, found)
    return found


def _refuse_unbounded(request: MessagesRequest) -> None:
    for name, why in UNBOUNDED.items():
        if given(getattr(request, name)):
            raise Uncountable(name, why)
    if (request.inference_geo or "") not in _PRICED_REGIONS:
        raise Uncountable("inference_geo", "what a call bound to this region costs is not known")


def _trigger_of(request: MessagesRequest) -> int | None:
    """From how many tokens on the prompt is summed up; None where it is not. Raises: Uncountable."""
    management = parse_unique(request.context_management, "context_management")
    edits = management.get("edits") if isinstance(management, dict) else management
    found: int | None = None
    for place, edit in enumerate(edits if isinstance(edits, list) else [edits] if edits else []):
        kind = edit.get("type") if isinstance(edit, dict) else None
        if isinstance(kind, str) and kind.startswith(_COMPACTION):
            trigger = edit.get("trigger")
            value = trigger.get("value") if isinstance(trigger, dict) else COMPACTION_TRIGGER_TOKENS
            stated = value if isinstance(value, int) and not isinstance(value, bool) else 0
            found = stated if found is None else min(found, stated)
        elif not isinstance(kind, str) or not kind.startswith(_SHORTENING):
            raise Uncountable(f"context_management.edits[{place}]", "what this edit costs is not known")
    return found


def _remembered(raw: msgspec.Raw, rule: bytes) -> Piece | None:
    if len(memoryview(raw)) < _CACHED_BYTES_MIN:
        return None
    return _pieces.get(_pieces.key_of(bytes(raw), rule))


def _remember(raw: msgspec.Raw, rule: bytes, piece: Piece) -> Piece:
    # A part that is named by its place must be named anew in another request.
    if len(memoryview(raw)) >= _CACHED_BYTES_MIN and not piece.open_parts:
        _pieces.put(_pieces.key_of(bytes(raw), rule), piece)
    return piece
