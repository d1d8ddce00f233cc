"""Anthropic's usage object, as the provider reports it: its input leaves out what the cache gave or took."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.message_rounds import Rounds, Sampling
from simulators.provider.usages import swell

_INPUT: Final = b'{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,'
_WRITTEN: Final = (
    b'"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d},"output_tokens":%d,'
)
_SEARCHED: Final = b'"server_tool_use":{"web_search_requests":%d,"web_fetch_requests":0},'
_END: Final = b'"service_tier":"standard","inference_geo":"global"}'


class MessageUsage(NamedTuple):
    """Token counts as told to a caller."""

    input: int
    cached: int
    written_5m: int
    written_1h: int
    output: int
    thinking: int
    rounds: Rounds | None = None

    def encode(self) -> bytes:
        """Write the usage object of a whole answer."""
        told = self._thinking() if self.thinking else b""
        return self._encode(told + self._rounds() + _END)

    def encode_start(self) -> bytes:
        """Write the usage object that a stream starts with: of its prompts only the first is known by then."""
        later = 0 if self.rounds is None else self.rounds.prompt_tokens - self.rounds.first_tokens
        return self._replace(input=max(0, self.input - later))._encode(_END)

    def encode_delta(self) -> bytes:
        """Write the usage object that a stream ends with: cumulative, and without the cache's lifetimes."""
        head = _INPUT % (self.input, self.written_5m + self.written_1h, self.cached)
        told = b'"output_tokens":%d,%b%b' % (
            self.output,
            self._thinking() if self.thinking else b"",
            self._rounds(),
        )
        return head + told[:-1] + b"}"

    def as_dict(self) -> dict[str, object]:
        """List the usage object's fields."""
        fields: dict[str, object] = json.loads(self.encode())
        return fields

    def _encode(self, end: bytes) -> bytes:
        head = _INPUT % (self.input, self.written_5m + self.written_1h, self.cached)
        return head + _WRITTEN % (self.written_5m, self.written_1h, self.output) + end

    def _rounds(self) -> bytes:
        if self.rounds is None:
            return b""
        listed = [_sampling(one) for one in self.rounds.samplings(self.output)]
        told = _SEARCHED % self.rounds.searches if self.rounds.searches else b""
        return told + b'"iterations":%b,' % json.dumps(listed).encode()

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
    output = swell(call.script, generated_tokens)
    return MessageUsage(fresh, call.cached_tokens, *written, output, thinking, call.rounds)


def _sampling(one: Sampling) -> dict[str, object]:
    """Write one sampling; what the cache gave or took stands in the sum alone."""
    named: dict[str, object] = {
        "type": one.kind,
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    return named | {"model": one.model} if one.model else named
