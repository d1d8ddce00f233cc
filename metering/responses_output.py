"""The output cap of a Responses request: the caller's, else the tenant's default, never over the model's ceiling."""

from __future__ import annotations

from metering.errors import Uncountable
from metering.limits import is_reasoning
from metering.model_families import CountRule, family_of
from metering.quote import OutputCap
from metering.responses_request import ResponsesRequest

# The least that OpenAI takes. Source: its API's own error, "Expected a value >= 16", read to 2026-11.
OUTPUT_TOKENS_MIN = 16
# The simulator's published rule.
_SIM_COMPACT_TOKENS = 1024
_FREE_FORMATS = frozenset({"", "text"})


def responses_cap_for(
    request: ResponsesRequest,
    *,
    ceiling: int | None,
    default_plain: int,
    default_reasoning: int,
    minimum: int,
    reasoning_minimum: int | None = None,
) -> OutputCap:
    """Work out ``max_output_tokens`` to send upstream, and whether a hold may be cut to less. All in tokens.

    A cut answer is worthless where it must follow a schema or call a tool, and may be empty where a model thinks
    first, unless ``reasoning_minimum`` states what such a model needs at least. Raises: Uncountable for a compaction
    by a model whose ceiling is not known, as a compaction takes no cap.
    """
    reasoning = is_reasoning(request.model)
    if request.compacts:
        return _compaction(request.model, ceiling)
    tokens = request.max_output_tokens or (default_reasoning if reasoning else default_plain)
    if ceiling is not None:
        tokens = min(tokens, ceiling)
    least = reasoning_minimum if reasoning else minimum
    free = request.answer_format.get("type", "") in _FREE_FORMATS and not request.forces_tool
    may_clamp = least is not None and free
    return OutputCap(
        tokens=tokens,
        choices=1,
        minimum_tokens=min(tokens, max(least, OUTPUT_TOKENS_MIN))
        if may_clamp and least is not None
        else tokens,
        source="default" if request.max_output_tokens is None else "caller",
        may_clamp=may_clamp,
    )


def _compaction(model: str, ceiling: int | None) -> OutputCap:
    """All that the model can write: nothing less can be asked for, so nothing less is held, nor may be."""
    if family_of(model).rule is CountRule.WORDS:
        ceiling = _SIM_COMPACT_TOKENS
    if ceiling is None:
        raise Uncountable(
            "model", "a compaction takes no output cap, and how much this model can write is not known"
        )
    return OutputCap(tokens=ceiling, choices=1, minimum_tokens=ceiling, source="caller", may_clamp=False)
