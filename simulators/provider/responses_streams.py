"""The events of a streamed Responses answer, in order, each with the tokens it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.responses_usages import ResponseUsage, response_usage_after
from simulators.provider.streams import CLOSING, CONTENT, OPENING, Event

_COMMENT_EVERY: Final = 5
_MESSAGE: Final = b'{"id":"%b","type":"message","status":"%b","role":"assistant","content":[%b]}'
_PART: Final = b'{"type":"output_text","annotations":[],"logprobs":[],"text":"%b"}'
_CALL: Final = b'{"id":"%b","type":"function_call","status":"%b","call_id":"%b","name":"%b","arguments":"%b"}'
_REASONING: Final = b'{"id":"%b","type":"reasoning","summary":[]}'
_RESPONSE: Final = (
    b'{"id":"%b","object":"response","created_at":%d,"status":"%b","background":false,"error":null,'
    b'"incomplete_details":%b,"instructions":null,"max_output_tokens":%b,"model":"%b","output":[%b],'
    b'"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},'
    b'"service_tier":"default","store":false,"temperature":1.0,"text":{"format":{"type":"text"}},'
    b'"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","metadata":{},"usage":%b}'
)


class ResponseWriter:
    """Writes one call's answer as a response, whole or as OpenAI's server-sent events."""

    def __init__(self, call: Call, answer: Answer, *, response_id: bytes, created_s: int) -> None:
        self._call = call
        self._answer = answer
        self._id = response_id
        self._created_s = created_s
        self._suffix = response_id.removeprefix(b"resp_")
        self._eol = b"\r\n" if call.script.crlf else b"\n"
        self._sequence = 0

    def whole(self, usage: bytes) -> bytes:
        """Write the whole response; `usage` is its usage object, or null."""
        items = [self._reasoning()] if self._answer.reasoning_tokens else []
        items.append(self._item(b"".join(self._answer.pieces), self._status()))
        return self._response(self._status(), b",".join(items), usage)

    def events(self) -> Iterator[Event]:
        """Yield the whole answer's events."""
        if self._call.script.comments:
            yield self._comment()
        begun = self._response(b"in_progress", b"", b"null")
        for kind in (b"response.created", b"response.in_progress"):
            yield Event(self._event(kind, b'"response":%b' % begun), OPENING)
        place = 0
        if self._answer.reasoning_tokens:
            place = 1
            added = b'"output_index":0,"item":%b' % self._reasoning()
            yield Event(self._event(b"response.output_item.added", added), OPENING)
            # All of it over before the first word, and none of it shown.
            tokens = self._answer.reasoning_tokens
            yield Event(self._event(b"response.output_item.done", added), OPENING, tokens)
        yield from self._spoken(place) if self._answer.tool is None else self._called(place)
        yield self._last()

    def error(self, body: bytes) -> bytes:
        """Write an error as an event, as the provider does once the status has gone out."""
        self._sequence -= 1  # it takes the place of an event that was made and not sent
        message = json.dumps(json.loads(body)["error"]["message"]).encode()
        return self._event(b"error", b'"code":"server_error","message":%b,"param":null' % message)

    def _spoken(self, place: int) -> Iterator[Event]:
        where = b'"item_id":"msg_%b","output_index":%d,"content_index":0' % (self._suffix, place)
        opened = b'"output_index":%d,"item":%b' % (place, self._message(b"", b"in_progress"))
        yield Event(self._event(b"response.output_item.added", opened), OPENING)
        yield Event(
            self._event(b"response.content_part.added", where + b',"part":%b' % (_PART % b"")), OPENING
        )
        yield from self._deltas(b"response.output_text.delta", where + b',"logprobs":[]')
        text = b"".join(self._answer.pieces)
        done = where + b',"logprobs":[],"text":"%b"' % text
        yield Event(self._event(b"response.output_text.done", done), CLOSING)
        yield Event(
            self._event(b"response.content_part.done", where + b',"part":%b' % (_PART % text)), CLOSING
        )
        closed = b'"output_index":%d,"item":%b' % (place, self._message(text, self._status()))
        yield Event(self._event(b"response.output_item.done", closed), CLOSING)

    def _called(self, place: int) -> Iterator[Event]:
        where = b'"item_id":"fc_%b","output_index":%d' % (self._suffix, place)
        opened = b'"output_index":%d,"item":%b' % (place, self._function_call(b"", b"in_progress"))
        yield Event(self._event(b"response.output_item.added", opened), CONTENT, 1)
        yield from self._deltas(b"response.function_call_arguments.delta", where)
        text = b"".join(self._answer.pieces)
        done = where + b',"arguments":"%b"' % text
        yield Event(self._event(b"response.function_call_arguments.done", done), CLOSING)
        closed = b'"output_index":%d,"item":%b' % (place, self._function_call(text, self._status()))
        yield Event(self._event(b"response.output_item.done", closed), CLOSING)

    def _deltas(self, kind: bytes, where: bytes) -> Iterator[Event]:
        for number, piece in enumerate(self._answer.pieces, start=1):
            if self._call.script.comments and number % _COMMENT_EVERY == 0:
                yield self._comment()
            yield Event(self._event(kind, where + b',"delta":"%b"' % piece), CONTENT, 1)

    def _last(self) -> Event:
        usage = self._usage()
        told = b"null" if usage is None else usage.encode()
        kind = b"response.incomplete" if self._answer.finish_reason == "length" else b"response.completed"
        return Event(self._event(kind, b'"response":%b' % self.whole(told)), CLOSING, 0, usage)

    def _response(self, status: bytes, items: bytes, usage: bytes) -> bytes:
        cut = b'{"reason":"max_output_tokens"}' if status == b"incomplete" else b"null"
        cap = b"null" if self._call.cap is None else b"%d" % self._call.cap
        model = self._call.model.encode()
        return _RESPONSE % (self._id, self._created_s, status, cut, cap, model, items, usage)

    def _item(self, text: bytes, status: bytes) -> bytes:
        return self._message(text, status) if self._answer.tool is None else self._function_call(text, status)

    def _message(self, text: bytes, status: bytes) -> bytes:
        parts = b"" if status == b"in_progress" else _PART % text
        return _MESSAGE % (b"msg_" + self._suffix, status, parts)

    def _function_call(self, arguments: bytes, status: bytes) -> bytes:
        name = json.dumps(self._answer.tool)[1:-1].encode()
        return _CALL % (b"fc_" + self._suffix, status, b"call_" + self._suffix, name, arguments)

    def _reasoning(self) -> bytes:
        return _REASONING % (b"rs_" + self._suffix)

    def _status(self) -> bytes:
        return b"incomplete" if self._answer.finish_reason == "length" else b"completed"

    def _event(self, kind: bytes, fields: bytes) -> bytes:
        data = b'{"type":"%b","sequence_number":%d,%b}' % (kind, self._sequence, fields)
        self._sequence += 1
        return b"event: %b%bdata: %b%b%b" % (kind, self._eol, data, self._eol, self._eol)

    def _comment(self) -> Event:
        return Event(b": PROCESSING%b%b" % (self._eol, self._eol), OPENING)

    def _usage(self) -> ResponseUsage | None:
        return response_usage_after(self._call, self._answer, generated_tokens=self._answer.tokens)
