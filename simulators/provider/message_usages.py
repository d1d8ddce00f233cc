"""Anthropic's usage object, as the provider reports it: its input leaves out what the cache gave or took."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.usages import swell

_INPUT: Final = b'{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,'
_WRITTEN: Final = (
    b'"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d},"output_tokens":%d,'
)
_END: Final = b'"service_tier":"standard","inference_geo":"global"}'


class MessageUsage(NamedTuple):
    """Token counts as told to a caller."""

    input: int
    cached: int
    written_5m: int
    written_1h: int
    output: int
    thinking: int

    def encode(self) -> bytes:
        """Write the usage object of a whole answer."""
        return self.encode_start() if not self.thinking else self._encode(self._thinking() + _END)

    def encode_start(self) -> bytes:
        """Write the usage object that a stream starts with."""
        return self._encode(_END)

    def encode_delta(self) -> bytes:
        """Write the usage object that a stream ends with: cumulative, and without the cache's lifetimes."""
        head = _INPUT % (self.input, self.written_5m + self.written_1h, self.cached)
        if self.thinking:
            return head + b'"output_tokens":%d,%b}' % (self.output, self._thinking()[:-1])
        return head + b'"output_tokens":%d}' % self.output

    def as_dict(self) -> dict[str, object]:
        """List the usage object's fields."""
        fields: dict[str, object] = json.loads(self.encode())
        return fields

    def _encode(self, end: bytes) -> bytes:
        head = _INPUT % (self.input, self.written_5m + self.written_1h, self.cached)
        return head + _WRITTEN % (self.written_5m, self.written_1h, self.output) + end

    def _thinking(self) -> bytes:
        return b'"output_tokens_details":{"thinking_tokens":%d},' % self.thinking


def message_usage_after(call: Call, answer: Answer, *, generated_tokens: int) -> MessageUsage | None:
    """Say what the provider reports once so much has been generated; None when it reports nothing."""
    if call.script.usage == "none":
        return None
    if call.script.usage == "zero":
        return MessageUsage(0, 0, 0, 0, 0, 0)
    written = call.written_tokens
    fresh = call.prompt_tokens - call.cached_tokens - sum(written)
    thinking = min(generated_tokens, answer.reasoning_tokens)
    return MessageUsage(fresh, call.cached_tokens, *written, swell(call.script, generated_tokens), thinking)
