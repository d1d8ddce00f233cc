"""The usage object, as the provider reports it."""

from __future__ import annotations

import json
from typing import Final, NamedTuple, Protocol

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.script import Script

_TEMPLATE: Final = (
    b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
    b'"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0,'
    b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
)


class Reported(Protocol):
    """Usage as told to a caller, in the shape of whatever dialect it was told in."""

    def encode(self) -> bytes:
        """Write the usage object."""

    def as_dict(self) -> dict[str, object]:
        """List the usage object's fields."""


class Usage(NamedTuple):
    """Token counts as told to a caller."""

    prompt: int
    completion: int
    cached: int
    reasoning: int

    def encode(self) -> bytes:
        """Write the usage object under OpenAI's names."""
        total = self.prompt + self.completion
        return _TEMPLATE % (self.prompt, self.completion, total, self.cached, self.reasoning)

    def as_dict(self) -> dict[str, object]:
        """List the usage object's fields."""
        fields: dict[str, object] = json.loads(self.encode())
        return fields


def swell(script: Script, generated_tokens: int) -> int:
    """Count what is billed for what was generated: more of it when the script overstates."""
    return -(-generated_tokens * (100 + (script.over_percent or 0)) // 100)


def usage_after(call: Call, answer: Answer, *, generated_tokens: int) -> Usage | None:
    """Say what the provider reports once so much has been generated; None when it reports nothing."""
    if call.script.usage == "none":
        return None
    if call.script.usage == "zero":
        return Usage(0, 0, 0, 0)
    reasoning = min(generated_tokens, answer.reasoning_tokens * call.choices)
    return Usage(call.prompt_tokens, swell(call.script, generated_tokens), call.cached_tokens, reasoning)
