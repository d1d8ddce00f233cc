"""Usage reports of routes that read and write nothing: embeddings, and moderations where a provider bills them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.errors import UsageError
from metering.usage import Usage
from metering.usage_openai import read_counter, usage_from_openai


def usage_of_prompt(raw: Mapping[str, Any] | None) -> Usage | None:
    """Decompose a report in which every token is the prompt's; None when it reports nothing.

    Voyage reports a total alone, Mistral a completion of 0 beside it. What stands in the total and not in the prompt
    was billed all the same. Raises: UsageError when it cannot be true.
    """
    if not raw:
        return None
    prompt, total = read_counter(raw, "prompt_tokens"), read_counter(raw, "total_tokens")
    if prompt is None and total is None:
        return None
    if prompt is not None and total is not None and total < prompt:
        raise UsageError(f"the total of {total} tokens is less than the {prompt} of the prompt")
    billed = max(prompt or 0, total or 0)
    return usage_from_openai({**raw, "prompt_tokens": billed, "completion_tokens": 0, "total_tokens": billed})
