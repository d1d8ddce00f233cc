"""The events of a streamed answer, in order, each with the tokens it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.usages import Reported, Usage, usage_after

OPENING: Final = 0
CONTENT: Final = 1
CLOSING: Final = 2
_COMMENT_EVERY: Final = 5
_TEXT_DELTA = (b'{"content":"', b'"}')
_TOOL_DELTA = (b'{"tool_calls":[{"index":0,"function":{"arguments":"', b'"}}]}')


class Event(NamedTuple):
    """One event: its bytes, whether it comes before, with or after the content, and what it counts and tells."""

    data: bytes
    stage: int
    tokens: int = 0
    usage: Reported | None = None


class Writer(Protocol):
    """What writes an answer as events, in any dialect."""

    def events(self) -> Iterator[Event]:
        """Yield the whole answer's events."""

    def error(self, body: bytes) -> bytes:
        """Write an error as an event."""


class EventWriter:
    """Writes one call's answer as server-sent events."""

    def __init__(self, call: Call, answer: Answer, *, completion_id: bytes, created_s: int) -> None:
        self._call = call
        self._answer = answer
        self._id = completion_id
        self._eol = b"\r\n" if call.script.crlf else b"\n"
        self._before = (
            b'data: {"id":"%b","object":"chat.completion.chunk","created":%d,"model":"%b",'
            b'"service_tier":"default","system_fingerprint":"fp_sim","choices":['
        ) % (completion_id, created_s, call.model.encode())
        # What stands in a chunk that tells no usage: null where the caller asked for it.
        asked = call.include_usage and call.script.usage != "none"
        self._unused = b',"usage":null' if asked else b""
        self._generated = 0

    def events(self) -> Iterator[Event]:
        """Yield the whole answer's events."""
        yield from self._opening()
        yield from self._content()
        yield from self._closing()

    def error(self, body: bytes) -> bytes:
        """Write an error as an event, as providers do once the status has gone out."""
        return b"data: %b%b%b" % (body, self._eol, self._eol)

    def _opening(self) -> Iterator[Event]:
        if self._call.script.comments:
            yield self._comment()
        content = b'""' if self._answer.tool is None else b"null"
        delta = b'{"role":"assistant","content":%b,"refusal":null}' % content
        for index in range(self._call.choices):
            # Reasoning is over before the first word, and nobody sees it.
            yield self._chunk(OPENING, (index, delta, b"null"), tokens=self._answer.reasoning_tokens)

    def _content(self) -> Iterator[Event]:
        call, answer = self._call, self._answer
        opening, ending = _TEXT_DELTA if answer.tool is None else _TOOL_DELTA
        if answer.tool is not None:
            for index in range(call.choices):
                yield self._chunk(CONTENT, (index, self._tool_head(index), b"null"), tokens=1)
        if call.script.usage != "every":
            yield from self._alike(opening, ending)
            return
        for piece in answer.pieces:
            for index in range(call.choices):
                yield self._chunk(CONTENT, (index, opening + piece + ending, b"null"), tokens=1)

    def _alike(self, opening: bytes, ending: bytes) -> Iterator[Event]:
        # Nothing but the word differs from chunk to chunk, so the rest is written once.
        call, answer = self._call, self._answer
        self._generated += len(answer.pieces) * call.choices
        tail = ending + b',"logprobs":null,"finish_reason":null}]%b}%b%b' % (
            self._unused,
            self._eol,
            self._eol,
        )
        heads = [self._before + b'{"index":%d,"delta":%b' % (index, opening) for index in range(call.choices)]
        for number, piece in enumerate(answer.pieces, start=1):
            if call.script.comments and number % _COMMENT_EVERY == 0:
                yield self._comment()
            for head in heads:
                yield Event(head + piece + tail, CONTENT, 1)

    def _closing(self) -> Iterator[Event]:
        call = self._call
        usage = self._usage()
        finish = b'"%b"' % self._answer.finish_reason.encode()
        for index in range(call.choices):
            told = call.script.usage == "choice" and index == call.choices - 1
            yield self._chunk(CLOSING, (index, b"{}", finish), usage=usage if told else None)
        if usage is not None and call.include_usage and call.script.usage not in ("every", "choice"):
            yield Event(self._bare(usage.encode()), CLOSING, 0, usage)
            if call.script.usage == "not-last":
                yield Event(self._bare(b"null"), CLOSING)
        yield Event(b"data: [DONE]%b%b" % (self._eol, self._eol), CLOSING)

    def _chunk(
        self, stage: int, choice: tuple[int, bytes, bytes], *, tokens: int = 0, usage: Usage | None = None
    ) -> Event:
        self._generated += tokens
        if self._call.script.usage == "every":
            usage = self._usage()
        told = self._unused if usage is None else b',"usage":' + usage.encode()
        data = b'%b{"index":%d,"delta":%b,"logprobs":null,"finish_reason":%b}]%b}%b%b' % (
            self._before,
            *choice,
            told,
            self._eol,
            self._eol,
        )
        return Event(data, stage, tokens, usage)

    def _usage(self) -> Usage | None:
        return usage_after(self._call, self._answer, generated_tokens=self._generated)

    def _comment(self) -> Event:
        return Event(b": PROCESSING%b%b" % (self._eol, self._eol), OPENING)

    def _bare(self, usage: bytes) -> bytes:
        return b'%b],"usage":%b}%b%b' % (self._before, usage, self._eol, self._eol)

    def _tool_head(self, index: int) -> bytes:
        name = json.dumps(self._answer.tool)[1:-1].encode()
        return (
            b'{"tool_calls":[{"index":0,"id":"call_%b_%d","type":"function",'
            b'"function":{"name":"%b","arguments":""}}]}'
        ) % (self._id, index, name)
