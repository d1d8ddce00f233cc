"""The output of a generateContent request: its cap, thinking included, and an estimate where no usage came."""

from __future__ import annotations

from metering.errors import RequestShapeError
from metering.gemini_models import (
    PICTURE_OUTPUT_TOKENS,
    UNSEEN_TOKENS,
    UNSEEN_TOKENS_PER_TOOL_CALL,
    makes_pictures,
    may_think,
    speaks,
    thinks_unasked,
)
from metering.gemini_request import CAP, CONFIG, GeminiRequest
from metering.gemini_text import text_tokens
from metering.quote import OutputCap

# Models that do not think when they are told not to; others take a budget of 0 for the least they can do.
_OBEYS_ZERO = ("gemini-2.5-flash", "sim-")


def gemini_cap_for(
    request: GeminiRequest,
    *,
    ceiling: int | None,
    default_plain: int,
    default_reasoning: int,
    minimum: int,
    reasoning_minimum: int | None = None,
) -> OutputCap:
    """Work out ``maxOutputTokens`` to send upstream, for each answer, and whether a hold may be cut to less.

    Thinking counts against it (recorded: 16 asked, 13 thought, no answer) and its budget is never rewritten: what
    stays for the answer is the minimum. Thinking without a budget is cut only where ``reasoning_minimum`` states what
    such a model needs. All in tokens. Raises: RequestShapeError for a cap in which no picture has room.
    """
    thinks, budget = thinks_at_all(request), max(0, request.thinking_budget or 0)
    least = budget + minimum if budget else reasoning_minimum if thinks else minimum
    stated = request.max_output_tokens
    pictures = makes_pictures(request.model) or "IMAGE" in request.modalities
    tokens = stated
    if tokens is None:
        tokens = max(default_reasoning, budget + minimum) if thinks else default_plain
        tokens = max(tokens, PICTURE_OUTPUT_TOKENS) if pictures else tokens
    if ceiling is not None:
        tokens = min(tokens, ceiling)
    if pictures and tokens < PICTURE_OUTPUT_TOKENS:
        why = f"a picture takes up to {PICTURE_OUTPUT_TOKENS} tokens of output, whatever the cap"
        raise RequestShapeError(f"{CONFIG}.{CAP} is {tokens}: {why}", f"{CONFIG}.{CAP}")
    audio = "AUDIO" in request.modalities and not speaks(request.model)
    spoken = audio or speaks(request.model)
    may_clamp = least is not None and not (request.schema or request.forces_tool or pictures or spoken)
    return OutputCap(
        tokens=tokens,
        choices=request.candidates,
        minimum_tokens=min(tokens, least) if may_clamp and least is not None else tokens,
        source="default" if stated is None else "caller",
        may_clamp=may_clamp,
        audio=audio,
    )


def thinks_at_all(request: GeminiRequest) -> bool:
    """Whether the model thinks before it answers this request."""
    budget = request.thinking_budget
    if budget == 0 and request.model.startswith(_OBEYS_ZERO):
        return False
    return thinks_unasked(request.model) or bool(budget)


def may_think_unseen(request: GeminiRequest) -> bool:
    """Whether what a model shows may say little about what it generates."""
    return thinks_at_all(request) or (may_think(request.model) and request.thinking_budget != 0)


def estimate_gemini_output(text: str, *, tool_calls: int = 0) -> int:
    """Estimate the output tokens behind relayed text (tool names and arguments included), from above."""
    return text_tokens(text) + UNSEEN_TOKENS + tool_calls * UNSEEN_TOKENS_PER_TOOL_CALL
