"""The events of a streamed Messages answer, in order, each with the tokens it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.message_usages import MessageUsage, message_usage_after
from simulators.provider.streams import CLOSING, CONTENT, OPENING, Event

STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
THINKING: Final = "The model thought about it; this is all that is shown of it."
SIGNATURE: Final = "c2ltdWxhdGVkIHNpZ25hdHVyZQ=="
_PING_EVERY: Final = 5
_SEARCH: Final = b'{"type":"server_tool_use","id":"%b","name":"web_search","input":{"query":"simulated"}}'
_FOUND: Final = (
    b'{"type":"web_search_tool_result","tool_use_id":"%b","content":[{"type":"web_search_result","title":"Simulated",'
    b'"url":"https://example.org/","page_age":null,"encrypted_content":"%b"}]}'
)
_TEXT_DELTA = (b'{"type":"text_delta","text":"', b'"}')
_TOOL_DELTA = (b'{"type":"input_json_delta","partial_json":"', b'"}')


def search_blocks(call: Call, message_id: bytes) -> list[bytes]:
    """Write what searches at the provider leave in an answer: the question, and what only the provider can read."""
    blocks = []
    for number in range(call.rounds.searches if call.rounds is not None else 0):
        name = b"srvtoolu_%b_%d" % (message_id.removeprefix(b"msg_"), number)
        blocks += [_SEARCH % name, _FOUND % (name, b"c2ltdWxhdGVk" * 100)]
    return blocks


class MessageEventWriter:
    """Writes one call's answer as Anthropic's server-sent events."""

    def __init__(self, call: Call, answer: Answer, *, message_id: bytes) -> None:
        self._call = call
        self._answer = answer
        self._id = message_id
        self._eol = b"\r\n" if call.script.crlf else b"\n"
        self._block = 0

    def events(self) -> Iterator[Event]:
        """Yield the whole answer's events."""
        yield from self._opening()
        yield from self._content()
        yield from self._closing()

    def error(self, body: bytes) -> bytes:
        """Write an error as an event, as the provider does once the status has gone out."""
        return self._event(b"error", body)

    def _opening(self) -> Iterator[Event]:
        usage = self._usage(0)
        told = b""
        if usage is not None:
            # Provisional, as the real one is: the word or two already generated.
            provisional = usage if self._call.script.usage == "zero" else usage._replace(output=1)
            told = b',"usage":' + provisional.encode_start()
        message = (
            b'{"type":"message_start","message":{"id":"%b","type":"message","role":"assistant","model":"%b",'
            b'"content":[],"stop_reason":null,"stop_sequence":null%b}}'
        ) % (self._id, self._call.model.encode(), told)
        yield Event(self._event(b"message_start", message), OPENING)
        for block in search_blocks(self._call, self._id):
            yield Event(self._start(self._block, block) + self._stop(self._block), OPENING)
            self._block += 1
        if self._answer.reasoning_tokens:
            yield from self._thinking()
        yield Event(self._start(self._block, self._content_block()), OPENING)
        yield Event(self._event(b"ping", b'{"type": "ping"}'), OPENING)

    def _thinking(self) -> Iterator[Event]:
        block = self._block
        yield Event(self._start(block, b'{"type":"thinking","thinking":"","signature":""}'), OPENING)
        # All of it over before the first word, and hardly any of it shown.
        shown = b'{"type":"thinking_delta","thinking":"%b"}' % THINKING.encode()
        yield Event(self._delta(block, shown), OPENING, self._answer.reasoning_tokens)
        signed = b'{"type":"signature_delta","signature":"%b"}' % SIGNATURE.encode()
        yield Event(self._delta(block, signed) + self._stop(block), OPENING)
        self._block += 1

    def _content_block(self) -> bytes:
        if self._answer.tool is None:
            return b'{"type":"text","text":""}'
        return b'{"type":"tool_use","id":"toolu_%b","name":%b,"input":{}}' % (
            self._id.removeprefix(b"msg_"),
            json.dumps(self._answer.tool).encode(),
        )

    def _content(self) -> Iterator[Event]:
        answer, block = self._answer, self._block
        opening, ending = _TEXT_DELTA if answer.tool is None else _TOOL_DELTA
        if answer.tool is not None:
            yield Event(self._delta(block, opening + ending), CONTENT, 1)
        # Nothing but the word differs from event to event, so the rest is written once.
        whole = self._delta(block, opening + b"\0" + ending)
        head, tail = whole.split(b"\0")
        for number, piece in enumerate(answer.pieces, start=1):
            if self._call.script.comments and number % _PING_EVERY == 0:
                yield Event(self._event(b"ping", b'{"type": "ping"}'), OPENING)
            yield Event(head + piece + tail, CONTENT, 1)

    def _closing(self) -> Iterator[Event]:
        usage = self._usage(self._answer.tokens)
        told = b"" if usage is None else b',"usage":' + usage.encode_delta()
        reason = STOP_REASONS[self._answer.finish_reason].encode()
        delta = b'{"type":"message_delta","delta":{"stop_reason":"%b","stop_sequence":null}%b}' % (
            reason,
            told,
        )
        yield Event(self._stop(self._block), CLOSING)
        yield Event(self._event(b"message_delta", delta), CLOSING, 0, usage)
        yield Event(self._event(b"message_stop", b'{"type":"message_stop"}'), CLOSING)

    def _start(self, block: int, content: bytes) -> bytes:
        data = b'{"type":"content_block_start","index":%d,"content_block":%b}' % (block, content)
        return self._event(b"content_block_start", data)

    def _delta(self, block: int, delta: bytes) -> bytes:
        data = b'{"type":"content_block_delta","index":%d,"delta":%b}' % (block, delta)
        return self._event(b"content_block_delta", data)

    def _stop(self, block: int) -> bytes:
        return self._event(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % block)

    def _event(self, name: bytes, data: bytes) -> bytes:
        # The real one pads its JSON with spaces, too.
        return b"event: %b%bdata: %b      %b%b" % (name, self._eol, data, self._eol, self._eol)

    def _usage(self, generated_tokens: int) -> MessageUsage | None:
        return message_usage_after(self._call, self._answer, generated_tokens=generated_tokens)
