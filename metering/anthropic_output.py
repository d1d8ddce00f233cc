"""The output of a Messages request: its cap, which Anthropic asks for, and an estimate where no usage came."""

from __future__ import annotations

from metering.anthropic_models import (
    BYTES_PER_TOKEN,
    O200K_PERCENT,
    UNSEEN_TOKENS,
    UNSEEN_TOKENS_PER_TOOL_CALL,
)
from metering.anthropic_request import MessagesRequest
from metering.quote import OutputCap
from metering.tokens import byte_bound, count


def messages_cap_for(
    request: MessagesRequest,
    *,
    ceiling: int | None,
    default_plain: int,
    default_reasoning: int,
    minimum: int,
    reasoning_minimum: int | None = None,
) -> OutputCap:
    """Work out ``max_tokens`` to send upstream, and whether a hold may be cut to less. All in tokens.

    Thinking counts against it and its budget is never rewritten: what stays for the answer is the minimum. Adaptive
    thinking has no budget, so that it is cut only where ``reasoning_minimum`` states what such a model needs.
    """
    thinks, budget = request.thinks, request.thinking.budget_tokens
    least = budget + minimum if budget else reasoning_minimum if thinks else minimum
    tokens = request.max_tokens
    if tokens is None:
        tokens = max(default_reasoning, budget + minimum) if thinks else default_plain
    if ceiling is not None:
        tokens = min(tokens, ceiling)
    may_clamp = least is not None and request.schema is None and not request.forces_tool
    return OutputCap(
        tokens=tokens,
        choices=1,
        minimum_tokens=min(tokens, least) if may_clamp and least is not None else tokens,
        source="default" if request.max_tokens is None else "caller",
        may_clamp=may_clamp,
    )


def estimate_messages_output(text: str, *, tool_calls: int = 0) -> int:
    """Estimate the output tokens behind relayed text (tool names and arguments included), from above.

    What a model thought is shown in summary at most: a stream that thinks and has no usage is charged at its hold.
    """
    by_tokens = -(-count(text, "o200k_base") * O200K_PERCENT // 100)
    by_bytes = -(-byte_bound(text) // BYTES_PER_TOKEN)
    return max(by_tokens, by_bytes) + UNSEEN_TOKENS + tool_calls * UNSEEN_TOKENS_PER_TOOL_CALL
