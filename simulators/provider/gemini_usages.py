"""Gemini's usage object: the prompt holds what the cache gave, thoughts stand beside the answer."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.usages import swell

_MORE_TOKENS = 7  # how far a total is off that is told to be


class GeminiUsage(NamedTuple):
    """Token counts as told to a caller; a quirk leaves some out or puts them wrong."""

    prompt: int
    candidates: int
    cached: int = 0
    thoughts: int = 0
    quirk: str = ""

    def encode(self) -> bytes:
        """Write the usage object under Google's names."""
        return json.dumps(self.as_dict(), separators=(",", ":")).encode()

    def as_dict(self) -> dict[str, Any]:
        """List the usage object's fields."""
        total = self.prompt + self.candidates + self.thoughts
        if self.quirk == "mismatch":
            total += _MORE_TOKENS
        fields: dict[str, Any] = {
            "promptTokenCount": self.prompt,
            "candidatesTokenCount": self.candidates,
            "totalTokenCount": total,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.prompt}],
        }
        if self.cached:
            fields["cachedContentTokenCount"] = self.cached
            fields["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": self.cached}]
        if self.thoughts:
            fields["thoughtsTokenCount"] = self.thoughts
        if self.quirk == "noprompt":
            del fields["promptTokenCount"], fields["promptTokensDetails"]
        if self.quirk == "nocandidates":
            del fields["candidatesTokenCount"]
        return fields | {"serviceTier": "standard"}


def gemini_usage_after(call: Call, answer: Answer, *, generated_tokens: int) -> GeminiUsage | None:
    """Say what the provider reports once so much has been generated; None when it reports nothing."""
    if call.script.usage == "none":
        return None
    if call.script.usage == "zero":
        return GeminiUsage(0, 0)
    thoughts = min(generated_tokens, answer.reasoning_tokens * call.choices)
    candidates = swell(call.script, generated_tokens) - thoughts
    return GeminiUsage(call.prompt_tokens, candidates, call.cached_tokens, thoughts, call.script.quirk)
