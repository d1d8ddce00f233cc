"""The events of a streamed answer, in order, each with the tokens it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.usages import Usage, usage_after

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
    usage: Usage | None = None


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
            yield Event(b": PROCESSING%b%b" % (self._eol, self._eol), OPENING)
        content = b'""' if self._answer.tool is None else b"null"
        delta = b'{"role":"assistant","content":%b,"refusal":null}' % content
        for index in range(self._call.choices):
            # Reasoning is over before the first word, and nobody sees it.
            yield self._chunk(OPENING, b"", (index, delta, b"null"), self._answer.reasoning_tokens)

    def _content(self) -> Iterator[Event]:
        call, answer = self._call, self._answer
        opening, ending = _TEXT_DELTA if answer.tool is None else _TOOL_DELTA
        if answer.tool is not None:
            for index in range(call.choices):
                yield self._chunk(CONTENT, b"", (index, self._tool_head(index), b"null"), 1)
        for number, piece in enumerate(answer.pieces, start=1):
            comment = b""
            if call.script.comments and number % _COMMENT_EVERY == 0:
                comment = b": PROCESSING%b%b" % (self._eol, self._eol)
            for index in range(call.choices):
                yield self._chunk(CONTENT, comment, (index, opening + piece + ending, b"null"), 1)

    def _closing(self) -> Iterator[Event]:
        call = self._call
        usage = usage_after(call, self._answer, self._generated)
        finish = b'"%b"' % self._answer.finish_reason.encode()
        for index in range(call.choices):
            told = call.script.usage == "choice" and index == call.choices - 1
            yield self._chunk(CLOSING, b"", (index, b"{}", finish), 0, usage if told else None)
        if usage is not None and call.include_usage and call.script.usage not in ("every", "choice"):
            yield Event(self._bare(usage.encode()), CLOSING, 0, usage)
            if call.script.usage == "not-last":
                yield Event(self._bare(b"null"), CLOSING)
        yield Event(b"data: [DONE]%b%b" % (self._eol, self._eol), CLOSING)

    def _chunk(
        self,
        stage: int,
        comment: bytes,
        choice: tuple[int, bytes, bytes],
        tokens: int,
        usage: Usage | None = None,
    ) -> Event:
        self._generated += tokens
        call = self._call
        if call.script.usage == "every":
            usage = usage_after(call, self._answer, self._generated)
        if usage is not None:
            told = b',"usage":' + usage.encode()
        elif call.include_usage and call.script.usage != "none":
            told = b',"usage":null'
        else:
            told = b""
        data = b'%b%b{"index":%d,"delta":%b,"logprobs":null,"finish_reason":%b}]%b}%b%b' % (
            comment,
            self._before,
            *choice,
            told,
            self._eol,
            self._eol,
        )
        return Event(data, stage, tokens, usage)

    def _bare(self, usage: bytes) -> bytes:
        return b'%b],"usage":%b}%b%b' % (self._before, usage, self._eol, self._eol)

    def _tool_head(self, index: int) -> bytes:
        name = json.dumps(self._answer.tool)[1:-1].encode()
        return (
            b'{"tool_calls":[{"index":0,"id":"call_%b_%d","type":"function",'
            b'"function":{"name":"%b","arguments":""}}]}'
        ) % (self._id, index, name)
