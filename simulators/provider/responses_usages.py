"""The usage object of a Responses answer, as the provider reports it."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.usages import usage_after

_TEMPLATE: Final = (
    b'{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d},"output_tokens":%d,'
    b'"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}'
)


class ResponseUsage(NamedTuple):
    """Token counts as told to a caller."""

    input: int
    output: int
    cached: int
    reasoning: int

    def encode(self) -> bytes:
        """Write the usage object under this interface's names."""
        return _TEMPLATE % (self.input, self.cached, self.output, self.reasoning, self.input + self.output)

    def as_dict(self) -> dict[str, object]:
        """List the usage object's fields."""
        fields: dict[str, object] = json.loads(self.encode())
        return fields


def response_usage_after(call: Call, answer: Answer, *, generated_tokens: int) -> ResponseUsage | None:
    """Say what the provider reports once so much has been generated; None when it reports nothing."""
    usage = usage_after(call, answer, generated_tokens=generated_tokens)
    return usage if usage is None else ResponseUsage(*usage)
