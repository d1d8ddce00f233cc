"""Usage of a Responses answer: its token report, and the fees that its output items tell of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from metering.usage import Usage
from metering.usage_openai import read_counter, usage_from_openai

# Steps of a search that are not billed: a page that was found is opened or looked through.
# Source: OpenAI's pricing page, "Built-in tools", read to 2026-11; recorded answers count searches alone.
_FREE_STEPS = frozenset({"open_page", "find_in_page", "find"})
# Items that are billed one by one, and those that are billed once however many there are (a container).
_FEES = {"web_search_call": "web_search", "file_search_call": "file_search"}
_FEES_ONCE = {"code_interpreter_call": "code_interpreter"}


def usage_from_responses(
    report: Mapping[str, Any] | None, *, items: Iterable[tuple[str, str]] = (), searches: int | None = None
) -> Usage | None:
    """Decompose a usage object and add what its items cost; None when nothing is reported.

    ``items`` are the answer's output items, each with its type and its action's; ``searches`` what the provider
    itself counts of them. Raises: UsageError when it cannot be true.
    """
    usage = usage_from_openai(report)
    if usage is None:
        return None
    extras = count_fees(items)
    extras.update(dict(usage.extras))
    if searches is not None:
        extras["web_search"] = searches
    return msgspec.structs.replace(usage, extras=tuple(sorted((+extras).items())))


def count_fees(items: Iterable[tuple[str, str]]) -> Counter[str]:
    """Count what an answer's items are billed as beside their tokens."""
    fees = Counter[str]()
    for kind, action in items:
        if kind in _FEES and action not in _FREE_STEPS:
            fees[_FEES[kind]] += 1
        elif kind in _FEES_ONCE:
            fees[_FEES_ONCE[kind]] = 1
    return fees


def searches_of(tool_usage: Any) -> int | None:
    """Read how many searches the provider counted; None where it does not say. Raises: UsageError."""
    told = tool_usage.get("web_search") if isinstance(tool_usage, dict) else None
    return read_counter(told, "num_requests") if isinstance(told, dict) else None
