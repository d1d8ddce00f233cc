"""The most prompt tokens a Messages request can be billed for, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from metering.allowances import NONE, Allowances
from metering.anthropic_content import Counter, Piece, lifetimes_of
from metering.anthropic_models import (
    BYTES_PER_TOKEN,
    CITATIONS_TOKENS,
    CLIENT_TOOLS,
    O200K_PERCENT,
    REQUEST_TOKENS,
    SCHEMA_TOKENS,
    TOOLS_TOKENS,
    image_tokens_max,
    rule_of,
)
from metering.anthropic_request import MessagesRequest, given
from metering.anthropic_words import count_words
from metering.chat_request import parse_unique
from metering.count_cache import CountCache
from metering.errors import RequestShapeError, Uncountable
from metering.model_families import CountRule
from metering.quote import TEXT_BUCKETS, BoundClass, InputBound
from metering.rates import REGION_PERCENT

_CACHED_BYTES_MIN = 512  # below, counting is quicker than remembering
# A template's own preamble where the model is not known to us; with tools some write a page of instructions.
_TEMPLATE_TOKENS = 512
_TEMPLATE_TOOLS_TOKENS = 1024
# What a request can be billed as, by how long it asks for anything to be cached.
_BUCKETS = (("input",), ("input", "cache_read", "cache_write_5m"), TEXT_BUCKETS)

# Fields whose price or size nobody knows before the call.
UNBOUNDED = {
    "mcp_servers": "tools of other servers re-bill the prompt every round",
    "container": "a container is billed by the hour and may hold files that were sent elsewhere",
    "fallbacks": "the call may be answered, and billed, by a model that was not priced",
}
# Edits that take out of the prompt; any other may bill a call of its own.
_SHORTENING = ("clear_tool_uses_", "clear_thinking_")
_PRICED_REGIONS = frozenset({"", "global", *REGION_PERCENT})
# Who serves Claude, with Claude's tokenizers and prompts.
_CLAUDE_HOSTS = frozenset({"anthropic", "aws", "azure", "bedrock", "google", "vertex", "openrouter"})
_pieces: CountCache[Piece] = CountCache()


def bound_messages(
    request: MessagesRequest, *, provider: str = "anthropic", allowances: Allowances = NONE
) -> InputBound:
    """Bound a Messages request's prompt tokens from above.

    A name such as ``claude-…`` says how tokens are counted only where the provider serves the real one.

    Raises: Uncountable for a part without a known bound; RequestShapeError for a part of no known shape.
    """
    _refuse_unbounded(request)
    rule = rule_of(request.model)
    if rule is CountRule.WORDS:
        return InputBound(count_words(request), BoundClass.EXACT)
    if provider not in _CLAUDE_HOSTS:
        rule = CountRule.BYTES
    counted = Piece()
    for piece in _pieces_of(request, image_tokens_max(request.model) if rule is CountRule.RECIPE else 0):
        counted = counted.plus(piece)
    if rule is CountRule.BYTES:
        # Every token covers at least one byte of the body, whose own syntax covers the framing, or of the template.
        template = _TEMPLATE_TOKENS + (_TEMPLATE_TOOLS_TOKENS if given(request.tools) else 0)
        return InputBound(request.body_bytes + template + counted.fixed_tokens, BoundClass.HARD)
    lifetimes = max(
        counted.cache_lifetimes, lifetimes_of(parse_unique(request.cache_control, "cache_control"))
    )
    return InputBound(_fitted(request, counted), BoundClass.EMPIRICAL, text_buckets=_BUCKETS[lifetimes])


def _fitted(request: MessagesRequest, counted: Piece) -> int:
    text = max(-(-counted.byte_thirds // BYTES_PER_TOKEN), -(-counted.tokens * O200K_PERCENT // 100))
    return (
        text
        + counted.fixed_tokens
        + REQUEST_TOKENS
        + TOOLS_TOKENS * given(request.tools)
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
    if given(request.tools):
        yield _remembered(request.tools, b"tools") or _tools(request.tools)


def _message(raw: msgspec.Raw, param: str, image_max: int) -> Piece:
    rule = b"message%d" % image_max
    known = _remembered(raw, rule)
    if known is not None:
        return known
    message = parse_unique(raw, param)
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestShapeError(f"{param} must be an object with a role", param)
    return _remember(raw, rule, Counter(image_max).count(message, param))


def _tools(raw: msgspec.Raw) -> Piece:
    tools = parse_unique(raw, "tools")
    if not isinstance(tools, list):
        raise RequestShapeError("tools must be a list", "tools")
    counted = Piece()
    for place, tool in enumerate(tools):
        counted = counted.plus(_tool(tool, f"tools[{place}]"))
    return _remember(raw, b"tools", counted)


def _tool(tool: Any, param: str) -> Piece:
    if not isinstance(tool, dict):
        raise RequestShapeError(f"{param} must be an object", param)
    kind = tool.get("type") or "custom"
    extra_tokens = next((tokens for name, tokens in CLIENT_TOOLS if name.fullmatch(str(kind))), None)
    if kind == "custom":
        extra_tokens = 0
    if extra_tokens is None:
        raise Uncountable(
            f"{param}.{kind}", "tools that run at the provider re-bill the prompt every round, and cost fees"
        )
    shown = {name: value for name, value in tool.items() if name != "content"}
    return Counter(0).count(shown, param).plus(Piece(fixed_tokens=extra_tokens))


def _refuse_unbounded(request: MessagesRequest) -> None:
    for name, why in UNBOUNDED.items():
        if given(getattr(request, name)):
            raise Uncountable(name, why)
    if (request.inference_geo or "") not in _PRICED_REGIONS:
        raise Uncountable("inference_geo", "what a call bound to this region costs is not known")
    management = parse_unique(request.context_management, "context_management")
    edits = management.get("edits") if isinstance(management, dict) else management
    for place, edit in enumerate(edits if isinstance(edits, list) else [edits] if edits else []):
        kind = edit.get("type") if isinstance(edit, dict) else None
        if not isinstance(kind, str) or not kind.startswith(_SHORTENING):
            raise Uncountable(
                f"context_management.edits[{place}]", "a compaction is billed as a call of its own"
            )


def _remembered(raw: msgspec.Raw, rule: bytes) -> Piece | None:
    if len(memoryview(raw)) < _CACHED_BYTES_MIN:
        return None
    return _pieces.get(_pieces.key_of(bytes(raw), rule))


def _remember(raw: msgspec.Raw, rule: bytes, piece: Piece) -> Piece:
    if len(memoryview(raw)) >= _CACHED_BYTES_MIN:
        _pieces.put(_pieces.key_of(bytes(raw), rule), piece)
    return piece
