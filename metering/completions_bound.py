"""The most prompt tokens a completion can be billed for, and its output cap."""

from __future__ import annotations

import re
from collections.abc import Sequence

from metering.chat_request import is_given
from metering.completions_request import UNBOUNDED, CompletionsRequest
from metering.embeddings_request import refuse_unbounded
from metering.errors import Uncountable
from metering.limits import is_reasoning
from metering.model_families import CountRule, base_name, family_of
from metering.providers import find_provider, leaves_thinking_out
from metering.quote import BoundClass, InputBound, OutputCap
from metering.text_inputs import (
    Piece,
    count_piece_words,
    count_pieces,
    framing_tokens,
    read_pieces,
    serves_openais_own,
)

# As in chat: nothing of this dialect causes the longer lifetime.
TEXT_BUCKETS = ("input", "cache_read", "cache_write_5m")

# Counted with cl100k_base and no framing at all: exact on 37 of 37 recorded calls, read to 2026-11.
_PUBLIC = re.compile(r"(gpt-3\.5-turbo-instruct|gpt-35-turbo|davinci-002|babbage-002)(-|$)")

# Where a request that names no cap stops. Source: OpenAI's API reference, "Completions", read to 2026-11.
UNSAID_CAP_TOKENS = 16


def bound_completions(request: CompletionsRequest, *, provider: str = "openai") -> InputBound:
    """Bound a completion's prompt tokens: exactly where the tokenizer is public, else by bytes.

    A prompt is billed once, however many answers it gets. Raises: Uncountable; RequestShapeError.
    """
    refuse_unbounded(request, UNBOUNDED)
    known = find_provider(provider)
    if known and leaves_thinking_out(known.cap_leaves_out, request.model):
        raise Uncountable("model", "its output cap leaves out what it thinks, and only chat can bound that")
    pieces = _prompts(request)
    if family_of(request.model).rule is CountRule.WORDS:
        suffixes = [request.suffix or ""] * len(pieces)
        return _bound(count_piece_words([*pieces, *suffixes]), BoundClass.EXACT)
    # How a text between two others is framed nobody publishes: then bytes stand for it.
    if serves_openais_own(provider) and not request.suffix and _PUBLIC.match(base_name(request.model)):
        exact = count_pieces(pieces, "cl100k_base")
        if exact is not None:
            return _bound(exact, BoundClass.EXACT)
    grown = framing_tokens([*pieces, request.suffix or ""])
    return _bound(request.body_bytes * _times_sent(request, pieces) + grown, BoundClass.HARD)


def completions_cap_for(
    request: CompletionsRequest,
    *,
    provider: str,
    ceiling: int | None,
    default_plain: int,
    default_reasoning: int,
    minimum: int,
) -> OutputCap:
    """Work out the cap per answer: the caller's, else the interface's own where it has one, else the tenant's.

    Every prompt of a list gets its own answers, so they multiply. All in tokens. Raises: as ``bound_completions``.
    """
    reasoning = is_reasoning(request.model)
    default = default_reasoning if reasoning else default_plain
    if serves_openais_own(provider):
        default = min(default, UNSAID_CAP_TOKENS)
    tokens = default if request.max_tokens is None else request.max_tokens
    if ceiling is not None:
        tokens = min(tokens, ceiling)
    may_clamp = not reasoning and not is_given(request.response_format)
    return OutputCap(
        tokens=tokens,
        choices=len(_prompts(request)) * request.answers_per_prompt,
        minimum_tokens=min(tokens, minimum) if may_clamp else tokens,
        source="default" if request.max_tokens is None else "caller",
        may_clamp=may_clamp,
    )


def _prompts(request: CompletionsRequest) -> list[Piece]:
    return read_pieces(request.prompt, "prompt") if is_given(request.prompt) else [""]


def _times_sent(request: CompletionsRequest, pieces: Sequence[Piece]) -> int:
    # A suffix stands behind each of the prompts.
    return len(pieces) if request.suffix else 1


def _bound(tokens: int, bound_class: BoundClass) -> InputBound:
    return InputBound(tokens, bound_class, text_buckets=TEXT_BUCKETS)
