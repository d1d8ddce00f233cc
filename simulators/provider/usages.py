"""The usage object, as the provider reports it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.script import Script


@dataclass(frozen=True)
class Usage:
    """Token counts as told to a caller."""

    prompt: int
    completion: int
    cached: int
    reasoning: int

    @cached_property
    def fields(self) -> dict[str, object]:
        """List the counts under OpenAI's names."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def encode(self) -> bytes:
        """Write the usage object as JSON."""
        return json.dumps(self.fields, separators=(",", ":")).encode()


def swell(script: Script, generated_tokens: int) -> int:
    """Count what is billed for what was generated: more of it when the script overstates."""
    return -(-generated_tokens * (100 + (script.over_percent or 0)) // 100)


def usage_after(call: Call, answer: Answer, generated_tokens: int) -> Usage | None:
    """Say what the provider reports once so much has been generated; None when it reports nothing."""
    if call.script.usage == "none":
        return None
    if call.script.usage == "zero":
        return Usage(0, 0, 0, 0)
    reasoning = min(generated_tokens, answer.reasoning_tokens * call.choices)
    return Usage(call.prompt_tokens, swell(call.script, generated_tokens), call.cached_tokens, reasoning)
