"""Serve OpenAI's Responses: the same answers, pacing and faults as chat, in this interface's shapes."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Final

from simulators.provider.bill import Bill, Record
from simulators.provider.calls import read_object, read_script
from simulators.provider.chat import ChatAnswer, id_header, send_refusal
from simulators.provider.refusals import JSON_TYPE, Refusal, refuse
from simulators.provider.responses_calls import read_response_call
from simulators.provider.responses_counting import count_responses
from simulators.provider.responses_streams import ResponseWriter
from simulators.provider.responses_usages import ResponseUsage, response_usage_after
from simulators.provider.wire import Exchange

RESPONSES_PATH: Final = "/v1/responses"
COMPACT_PATH: Final = "/v1/responses/compact"
INPUT_TOKENS_PATH: Final = "/v1/responses/input_tokens"
RESPONSE_PATHS: Final = frozenset({RESPONSES_PATH, COMPACT_PATH, INPUT_TOKENS_PATH})


def serve_responses(exchange: Exchange, record: Record, *, bill: Bill) -> Coroutine[None, None, None] | None:
    """Answer a request at once where nothing has to be waited for, else return the work to be done."""
    if record.path == INPUT_TOKENS_PATH:
        _count(exchange, record, bill=bill)
        return None
    compacts = record.path == COMPACT_PATH
    call = read_response_call(exchange.body, exchange.headers.get(b"x-sim-script"), compacts=compacts)
    if isinstance(call, Refusal):
        send_refusal(exchange, record, bill=bill, refusal=call)
        return None
    made = CompactAnswer if compacts else ResponsesAnswer
    return made(exchange, record, bill=bill, call=call).start()


def _count(exchange: Exchange, record: Record, *, bill: Bill) -> None:
    body = read_object(exchange.body)
    script = refuse(400, "We could not parse the JSON body of your request.")
    read = script if body is None else read_script(body, None)
    tokens = None if body is None else count_responses(body)
    if isinstance(read, Refusal) or body is None or tokens is None:
        unread = refuse(400, "input must be a string or a list of known items.", param="input")
        refusal = read if isinstance(read, Refusal) else unread
        send_refusal(exchange, record, bill=bill, refusal=refusal)
        return
    record.model = str(body["model"])
    record.status = 200
    bill.close(record, "complete")
    counted = b'{"object":"response.input_tokens","input_tokens":%d}' % tokens
    exchange.reply(200, JSON_TYPE + id_header(record), body=counted)


class ResponsesAnswer(ChatAnswer):
    """One answer of this interface on its way."""

    def _writer(self) -> ResponseWriter:
        created_s = time.time_ns() // 1_000_000_000
        return ResponseWriter(self._call, self._answer, response_id=self._response_id(), created_s=created_s)

    def _usage(self) -> ResponseUsage | None:
        return response_usage_after(self._call, self._answer, generated_tokens=self._generated)

    def _completion(self, usage: bytes) -> bytes:
        return self._writer().whole(usage.removeprefix(b',"usage":') or b"null")

    def _response_id(self) -> bytes:
        return b"resp_" + self._record.request_id.removeprefix("req_").encode()


class CompactAnswer(ResponsesAnswer):
    """One compacted conversation: what was said, in a form that only the provider can read."""

    def _completion(self, usage: bytes) -> bytes:
        suffix = self._response_id().removeprefix(b"resp_")
        return (
            b'{"id":"%b","object":"response.compaction","created_at":%d,"output":[{"type":"compaction",'
            b'"id":"cmp_%b","encrypted_content":"%b"}]%b}'
        ) % (self._response_id(), time.time(), suffix, b"".join(self._answer.pieces), usage)
