"""Serve OpenAI's older completions: the same answers, pacing and faults as chat, in their own shape."""

from __future__ import annotations

import json
import time
from collections.abc import Coroutine, Iterator

from simulators.provider.answers import Answer
from simulators.provider.bill import Bill, Record
from simulators.provider.chat import ChatAnswer, send_refusal
from simulators.provider.refusals import Refusal
from simulators.provider.streams import CLOSING, CONTENT, OPENING, Event
from simulators.provider.text_calls import TextCall, read_completion
from simulators.provider.text_usages import TextUsage, text_usage
from simulators.provider.usages import swell
from simulators.provider.wire import Exchange


def serve_completion(exchange: Exchange, record: Record, *, bill: Bill) -> Coroutine[None, None, None] | None:
    """Answer a completion request at once where nothing has to be waited for, else return the work to be done."""
    call = read_completion(exchange.body, exchange.headers.get(b"x-sim-script"))
    if isinstance(call, Refusal):
        send_refusal(exchange, record, bill=bill, refusal=call)
        return None
    return CompletionAnswer(exchange, record, bill=bill, call=call).start()


class CompletionAnswer(ChatAnswer):
    """One completion on its way."""

    def __init__(self, exchange: Exchange, record: Record, *, bill: Bill, call: TextCall) -> None:
        super().__init__(exchange, record, bill=bill, call=call)
        self._texts = call

    def _writer(self) -> CompletionEventWriter:
        return CompletionEventWriter(self._texts, self._answer, completion_id=self._completion_id())

    def _usage(self) -> TextUsage | None:
        return text_usage(self._call, swell(self._call.script, self._generated))

    def _completion_id(self) -> bytes:
        return b"cmpl-" + self._record.request_id.encode()

    def _completion(self, usage: bytes) -> bytes:
        call, answer = self._texts, self._answer
        text = b"".join(answer.pieces)
        choices = b",".join(
            b'{"index":%d,"text":"%b%b","logprobs":null,"finish_reason":"%b"}'
            % (index, echoed(call, index), text, answer.finish_reason.encode())
            for index in range(call.shown)
        )
        return b'{"id":"%b","object":"text_completion","created":%d,"model":"%b","choices":[%b]%b}' % (
            self._completion_id(),
            time.time(),
            call.model.encode(),
            choices,
            usage,
        )


class CompletionEventWriter:
    """Writes one completion as server-sent events."""

    def __init__(self, call: TextCall, answer: Answer, *, completion_id: bytes) -> None:
        self._call = call
        self._answer = answer
        self._eol = b"\r\n" if call.script.crlf else b"\n"
        self._before = (
            b'data: {"id":"%b","object":"text_completion","created":%d,"model":"%b","choices":['
            % (
                completion_id,
                time.time(),
                call.model.encode(),
            )
        )
        self._unused = b',"usage":null' if call.include_usage and call.script.usage != "none" else b""
        self._generated = 0

    def events(self) -> Iterator[Event]:
        """Yield the whole answer's events."""
        call, answer = self._call, self._answer
        for index in range(call.shown):
            if call.echo or answer.reasoning_tokens:
                yield self._chunk(OPENING, (index, echoed(call, index), b"null"), answer.reasoning_tokens)
        for piece in answer.pieces:
            for index in range(call.shown):
                yield self._chunk(CONTENT, (index, piece, b"null"), 1)
        usage = self._usage()
        finish = b'"%b"' % answer.finish_reason.encode()
        for index in range(call.shown):
            told = call.script.usage == "choice" and index == call.shown - 1
            yield self._chunk(CLOSING, (index, b"", finish), 0, usage if told else None)
        if usage is not None and call.include_usage and call.script.usage not in ("every", "choice"):
            yield Event(self._bare(usage.encode()), CLOSING, 0, usage)
            if call.script.usage == "not-last":
                yield Event(self._bare(b"null"), CLOSING)
        yield Event(b"data: [DONE]%b%b" % (self._eol, self._eol), CLOSING)

    def error(self, body: bytes) -> bytes:
        """Write an error as an event, as providers do once the status has gone out."""
        return b"data: %b%b%b" % (body, self._eol, self._eol)

    def _chunk(
        self, stage: int, choice: tuple[int, bytes, bytes], tokens: int, usage: TextUsage | None = None
    ) -> Event:
        self._generated += tokens
        if self._call.script.usage == "every":
            usage = self._usage()
        told = self._unused if usage is None else b',"usage":' + usage.encode()
        data = b'%b{"index":%d,"text":"%b","logprobs":null,"finish_reason":%b}]%b}%b%b' % (
            self._before,
            *choice,
            told,
            self._eol,
            self._eol,
        )
        return Event(data, stage, tokens, usage)

    def _usage(self) -> TextUsage | None:
        return text_usage(self._call, swell(self._call.script, self._generated))

    def _bare(self, usage: bytes) -> bytes:
        return b'%b],"usage":%b}%b%b' % (self._before, usage, self._eol, self._eol)


def echoed(call: TextCall, index: int) -> bytes:
    """What of the prompt stands before an answer, escaped for a JSON string; token ids are not spelled out."""
    text = call.texts[index * len(call.texts) // call.shown]
    return json.dumps(text)[1:-1].encode() if call.echo and isinstance(text, str) else b""
