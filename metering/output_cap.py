"""The output cap of a chat request: the caller's, else the tenant's default, never over the model's ceiling."""

from __future__ import annotations

from metering.chat_request import ChatRequest
from metering.limits import is_reasoning
from metering.quote import OutputCap


def output_cap_for(
    request: ChatRequest,
    *,
    ceiling: int | None,
    default_plain: int,
    default_reasoning: int,
    minimum: int,
    reasoning_minimum: int | None = None,
) -> OutputCap:
    """Work out the cap to send upstream per choice, and whether a hold may be cut to less.

    A cut answer is worthless where it must follow a schema, call a tool or be spoken, and may be empty where a
    model thinks first, unless ``reasoning_minimum`` states what such a model needs at least. All in tokens.
    """
    reasoning = is_reasoning(request.model)
    stated = request.max_completion_tokens or request.max_tokens
    tokens = stated or (default_reasoning if reasoning else default_plain)
    if ceiling is not None:
        tokens = min(tokens, ceiling)
    least = reasoning_minimum if reasoning else minimum
    audio = request.wants_audio
    may_clamp = (
        least is not None and request.answer_type in ("", "text") and not request.forces_tool and not audio
    )
    return OutputCap(
        tokens=tokens,
        choices=request.choices,
        minimum_tokens=min(tokens, least) if may_clamp and least is not None else tokens,
        source="default" if stated is None else "caller",
        may_clamp=may_clamp,
        audio=audio,
    )
