"""The prompts of a Messages call, one for each time that the model answers within it.

``prompts = base + Σ min(context, base + what was answered so far + what the tools gave back so far)``. Tools may be
used several at a time, so that much may come back early: the sum is that of the dearest order.
"""

from __future__ import annotations

from typing import NamedTuple

from metering.allowances import Allowances
from metering.anthropic_models import (
    ADVISOR_PROMPT_TOKENS,
    COMPACTION_OUTPUT_TOKENS,
    ITERATIONS_MAX,
    SERVER_TOOLS,
    UNKNOWN_TOOL,
)
from metering.anthropic_tools import ServerTool
from metering.errors import Uncountable
from metering.limits import limits_for
from metering.quote import Elsewhere

_CONTEXT = "how much the model's context holds is not known"
_UNKNOWN = "what this tool adds and costs is not known"
_ENDLESS = "how often it is used is not said (max_uses), and each use bills the whole prompt again"


class Added(NamedTuple):
    """What one use of a tool adds to the prompt, None for as much as the context takes, and because of which part."""

    tokens: int | None
    part: str
    kind: str


class Use(NamedTuple):
    """What the tools of a call come to before its prompt is known."""

    added: tuple[Added, ...] = ()  # one for each use
    base_tokens: int = 0  # on top of the first prompt
    extras: tuple[tuple[str, int], ...] = ()
    advice: tuple[tuple[str, int, int], ...] = ()  # model, uses, output tokens of each


class Rounds(NamedTuple):
    """The prompts of all rounds together, how many rounds, and the longest prompt."""

    tokens: int
    answers: int
    longest_tokens: int


def uses_of(tools: tuple[ServerTool, ...], allowances: Allowances) -> Use:
    """Work out how often tools may be used and what that adds.

    An allowance for a tool's kind is what one use of it adds to the prompt; it also lets a tool be served of which the
    request does not say how often. Raises: Uncountable for one that has neither.
    """
    added: list[Added] = []
    base_tokens = 0
    extras: dict[str, int] = {}
    advice = []
    for tool in tools:
        known = SERVER_TOOLS[tool.name]
        allowed = allowances.find(tool.kind)
        uses = tool.uses
        if tool.name == UNKNOWN_TOOL or (uses is None and not known.ends_by_itself):
            why = _UNKNOWN if tool.name == UNKNOWN_TOOL else _ENDLESS
            allowances.tokens_for(tool.kind, part=tool.part, why=why)
        uses = ITERATIONS_MAX if uses is None else uses
        if tool.kind == "mcp":
            base_tokens += allowed or 0  # the definitions of its tools, which it sends itself
        each = _each(tool, allowed)
        if tool.advisor:
            each = _advice_tokens(tool)
            advice.append((tool.advisor, uses, each))
        if known.fee:
            extras[known.fee] = extras.get(known.fee, 0) + uses
        added += [Added(each, tool.part, tool.kind)] * uses
    return Use(tuple(added), base_tokens, tuple(extras.items()), tuple(advice))


def rounds_of(
    base_tokens: int, added: tuple[Added, ...], *, cap_tokens: int | None, context: int | None
) -> Rounds:
    """Add up the prompts of a call; a cap or a context of None is one that nobody knows.

    Raises: Uncountable, naming the tool, where neither sizes nor the model's context bound a prompt.
    """
    if not added:
        return Rounds(base_tokens, 1, base_tokens)
    # A use beyond the last that is allowed is answered with an error, and the model answers once more.
    later = min(len(added) + 1, ITERATIONS_MAX)
    ordered = sorted(added, key=lambda one: (one.tokens is not None, -(one.tokens or 0)))
    at_once = max(0, len(ordered) - later) + 1
    total = longest = base_tokens
    grown: int | None = 0
    for number in range(1, later + 1):
        taken = ordered[:at_once] if number == 1 else ordered[at_once + number - 2 : at_once + number - 1]
        for one in taken:
            grown = None if grown is None or one.tokens is None else grown + one.tokens
        whole = None if grown is None or cap_tokens is None else base_tokens + number * cap_tokens + grown
        prompt = _least(whole, context)
        if prompt is None:
            raise Uncountable(ordered[0].part, _CONTEXT, kind=ordered[0].kind)
        longest = max(longest, prompt)
        total += longest
    return Rounds(total, later + 1, longest)


def elsewhere_of(use: Use, rounds: Rounds) -> tuple[Elsewhere, ...]:
    """What advisors may be billed for: each is shown the whole prompt, every time."""
    return tuple(
        Elsewhere(model, uses * (rounds.longest_tokens + ADVISOR_PROMPT_TOKENS), uses * output_tokens)
        for model, uses, output_tokens in use.advice
        if uses
    )


def compactions_of(
    model: str, rounds: Rounds, *, trigger_tokens: int, cap_tokens: int | None
) -> tuple[Elsewhere, ...]:
    """What summaries of the prompt may be billed for: one before each answer, unless no prompt is long enough."""
    if rounds.longest_tokens <= trigger_tokens:
        return ()
    output_tokens = max(cap_tokens or 0, COMPACTION_OUTPUT_TOKENS)
    return (Elsewhere(model, rounds.tokens, rounds.answers * output_tokens),)


def _each(tool: ServerTool, allowed: int | None) -> int | None:
    """What one use adds. A size that the request states is about text alone: a fetched PDF goes beyond it."""
    inherent = SERVER_TOOLS[tool.name].use_tokens
    if inherent is not None or allowed is None:
        return inherent
    stated = tool.content_tokens
    return allowed if stated is None else max(allowed, stated + stated // 10)


def _advice_tokens(tool: ServerTool) -> int:
    """What one piece of advice takes at most: as the request says, or all that the advisor's model writes."""
    if tool.advice_tokens is not None:
        return tool.advice_tokens
    limits = limits_for(tool.advisor, "anthropic")
    if limits is None or limits.output_tokens_max is None:
        raise Uncountable(tool.part, "how much its model writes at most is not known", kind=tool.kind)
    return limits.output_tokens_max


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
