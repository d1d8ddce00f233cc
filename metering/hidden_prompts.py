"""Prompts that a vendor puts before the caller's, bills, and does not publish: how long they may be."""

from __future__ import annotations

import re
from functools import lru_cache

from metering.empirical import constant

_HIDDEN = ((re.compile(r"(^|[/.])grok"), constant("hidden", "grok_tokens")),)


@lru_cache(maxsize=4096)
def hidden_prompt_tokens(model: str) -> int:
    """Return the tokens to add for what a vendor hides, 0 where nothing is known; a bound with them is empirical."""
    return next((tokens for names, tokens in _HIDDEN if names.search(model.lower())), 0)
