"""Gemini requests for tests: a body from keyword arguments, and its bound."""

from __future__ import annotations

import json
from typing import Any

from metering.allowances import NONE, Allowances
from metering.gemini import GeminiRequest, bound_gemini, decode_gemini, gemini_cap_for
from metering.quote import InputBound, OutputCap

FLASH = "gemini-2.5-flash"
CAPS = {"default_plain": 4096, "default_reasoning": 32_768, "minimum": 256}


def request(model: str = FLASH, content: Any = "hi", **fields: Any) -> GeminiRequest:
    """A decoded request with one turn of the user, unless ``contents`` says otherwise; a list is its parts."""
    parts = [{"text": content}] if isinstance(content, str) else content
    body = {"contents": [{"role": "user", "parts": parts}], **fields}
    return decode_gemini(json.dumps(body).encode(), model)


def bound(
    model: str = FLASH,
    content: Any = "hi",
    *,
    provider: str = "google",
    allowances: Allowances = NONE,
    **fields: Any,
) -> InputBound:
    """The bound of a request."""
    return bound_gemini(request(model, content, **fields), provider=provider, allowances=allowances)


def cap(model: str = FLASH, *, ceiling: int | None = None, more: Any = None, **config: Any) -> OutputCap:
    """The cap of a request with this generation config; ``more`` are other fields."""
    made = request(model, generationConfig=config, **(more or {}))
    return gemini_cap_for(made, ceiling=ceiling, **CAPS)
