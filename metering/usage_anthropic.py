"""Anthropic's usage reports, as disjoint buckets.

Its input leaves out what the cache gave or took. A stream tells the prompt at its start and cumulative figures at its
end, each of which replaces the start's; sub-calls stand in ``iterations``, some of them nowhere else. Absent is not
zero: no report is None, a report that cannot be true is an error, so that the caller charges at the hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.errors import UsageError
from metering.usage import Usage
from metering.usage_openai import read_counter

Report = Mapping[str, Any]

# Server tools that cost nothing beside their tokens; code is billed by a container's hours, which no answer tells.
# Source: Anthropic's "Pricing", read 2026-11-21.
_FREE_TOOLS = frozenset({"web_fetch", "tool_search", "code_execution", "advisor"})
# A sub-call of this type stands in the sum as well, whichever model it names.
_OWN = "message"
_ENDING = "_requests"
_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")


def usage_from_anthropic(report: Report | None) -> Usage | None:
    """Decompose a whole answer's usage; None where no output is reported.

    Sub-calls of another model are left out: see ``usage_elsewhere``. Raises: UsageError when it cannot be true.
    """
    if not report or read_counter(report, "output_tokens") is None:
        return None
    usage = _decompose(report)
    billed = [_decompose(one) for one in _iterations(report) if not _is_elsewhere(one)]
    # Compaction stands among the sub-calls alone, all else at the top as well.
    most = {name: max(getattr(usage, name), sum(getattr(one, name) for one in billed)) for name in _INPUT}
    output = max(usage.all_output_tokens, sum(one.all_output_tokens for one in billed))
    # Sub-calls do not tell their thinking apart.
    return Usage(
        **most,
        output_tokens=output - usage.reasoning_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        extras=_extras(report),
    )


def usage_from_stream(start: Report | None, delta: Report | None) -> Usage | None:
    """Decompose what a stream's ``message_start`` and its last ``message_delta`` report.

    Returns None for a stream that broke off before its end: what its start says of the output is provisional, what it
    says of the prompt is not (``prompt_from_stream``). Raises: UsageError.
    """
    if read_counter(delta or {}, "output_tokens") is None:
        return None
    return usage_from_anthropic(merge_reports(start, delta))


def prompt_from_stream(start: Report | None) -> Usage | None:
    """The prompt's side alone of what a ``message_start`` reports; None where it reports none. Raises: UsageError."""
    if read_counter(start or {}, "input_tokens") is None:
        return None
    return _decompose({**(start or {}), "output_tokens": 0})


def usage_elsewhere(report: Report | None) -> list[tuple[str, Usage]]:
    """Decompose what other models were billed for within one call (an advisor, a fallback). Raises: UsageError."""
    return [(str(one["model"]), _decompose(one)) for one in _iterations(report or {}) if _is_elsewhere(one)]


def merge_reports(start: Report | None, delta: Report | None) -> dict[str, Any]:
    """Let each figure of a stream's last report replace the first one's; null replaces nothing."""
    told = {name: value for name, value in (delta or {}).items() if value is not None}
    return {**(start or {}), **told}


def _decompose(report: Report) -> Usage:
    fresh, output = read_counter(report, "input_tokens"), read_counter(report, "output_tokens")
    if fresh is None or output is None:
        raise UsageError(f"input {fresh}, output {output}: a part is missing")
    written_5m, written_1h = _written(report)
    thinking = min(read_counter(_part(report, "output_tokens_details"), "thinking_tokens") or 0, output)
    return Usage(
        input_tokens=fresh,
        cache_read_tokens=read_counter(report, "cache_read_input_tokens") or 0,
        cache_write_5m_tokens=written_5m,
        cache_write_1h_tokens=written_1h,
        output_tokens=output - thinking,
        reasoning_tokens=thinking,
    )


def _written(report: Report) -> tuple[int, int]:
    """Tokens written to the cache for 5 minutes and for an hour: the total rules, the lifetimes share it out."""
    lifetimes = _part(report, "cache_creation")
    for_minutes = read_counter(lifetimes, "ephemeral_5m_input_tokens") or 0
    for_an_hour = read_counter(lifetimes, "ephemeral_1h_input_tokens") or 0
    total = read_counter(report, "cache_creation_input_tokens")
    if total is None:
        return for_minutes, for_an_hour
    if for_an_hour and not for_minutes:
        return 0, total
    for_an_hour = min(for_an_hour, total)
    return total - for_an_hour, for_an_hour


def _extras(report: Report) -> tuple[tuple[str, int], ...]:
    """Calls of server tools that cost a fee each; one of a kind nobody has priced has none, and is an alarm."""
    used = _part(report, "server_tool_use")
    named = [
        (name.removesuffix(_ENDING), read_counter(used, name)) for name in used if name.endswith(_ENDING)
    ]
    return tuple((name, calls) for name, calls in named if calls and name not in _FREE_TOOLS)


def _iterations(report: Report) -> list[Report]:
    listed = report.get("iterations")
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []


def _is_elsewhere(iteration: Report) -> bool:
    return bool(iteration.get("model")) and iteration.get("type") != _OWN


def _part(report: Report, name: str) -> Report:
    part = report.get(name)
    return part if isinstance(part, Mapping) else {}
