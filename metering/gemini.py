"""Gemini's dialect: read a request, bound its prompt, work out its output cap, decompose its usage."""

from __future__ import annotations

from metering.gemini_bound import bound_embed, bound_gemini
from metering.gemini_output import estimate_gemini_output, gemini_cap_for, may_think_unseen
from metering.gemini_request import GeminiRequest, decode_gemini
from metering.gemini_usage import prompt_from_gemini, usage_from_gemini

__all__ = [
    "GeminiRequest",
    "bound_embed",
    "bound_gemini",
    "decode_gemini",
    "estimate_gemini_output",
    "gemini_cap_for",
    "may_think_unseen",
    "prompt_from_gemini",
    "usage_from_gemini",
]
