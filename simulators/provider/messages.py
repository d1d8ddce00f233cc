"""Serve Anthropic's Messages: the same answers, pacing and faults as chat, in Anthropic's shapes."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Final

from simulators.provider.bill import Bill, Record
from simulators.provider.calls import read_object
from simulators.provider.chat import ChatAnswer, id_header, send_refusal
from simulators.provider.message_calls import read_message_call, read_script
from simulators.provider.message_counting import count_messages
from simulators.provider.message_refusals import Fault, message_error, scripted_fault, write_fault
from simulators.provider.message_streams import (
    SIGNATURE,
    STOP_REASONS,
    THINKING,
    MessageEventWriter,
    search_blocks,
)
from simulators.provider.message_usages import MessageUsage, message_usage_after
from simulators.provider.refusals import JSON_TYPE, Refusal
from simulators.provider.wire import Exchange

# As the official client asks for them, and as an account's base URL with a path of its own would.
MESSAGE_PATHS: Final = frozenset({"/v1/messages", "/anthropic/v1/messages"})
COUNT_PATHS: Final = frozenset(path + "/count_tokens" for path in MESSAGE_PATHS)


def serve_messages(
    exchange: Exchange, record: Record, *, bill: Bill, api_key: str | None
) -> Coroutine[None, None, None] | None:
    """Answer a request of Anthropic's dialect at once where nothing has to be waited for, else return the work."""
    fault = _fault_of_head(exchange, api_key)
    if fault is None and record.path in COUNT_PATHS:
        _count(exchange, record, bill=bill)
        return None
    if fault is None:
        call = read_message_call(exchange.body, exchange.headers.get(b"x-sim-script"))
        if not isinstance(call, Fault):
            return MessageAnswer(exchange, record, bill=bill, call=call).start()
        fault = call
    _refuse(exchange, record, bill=bill, fault=fault)
    return None


def _fault_of_head(exchange: Exchange, api_key: str | None) -> Fault | None:
    headers = exchange.headers
    if exchange.method != "POST":
        return Fault(405, "Method Not Allowed")
    if api_key is not None:
        presented = headers.get(b"x-api-key")
        if presented is None and b"authorization" not in headers:
            return Fault(401, "x-api-key header is required")
        if api_key.encode() not in (presented, headers.get(b"authorization", b"").removeprefix(b"Bearer ")):
            return Fault(401, "invalid x-api-key")
    if b"anthropic-version" not in headers:
        return Fault(400, "anthropic-version: header is required")
    return Fault(413, "Request exceeds the maximum size") if exchange.too_large else None


def _count(exchange: Exchange, record: Record, *, bill: Bill) -> None:
    body = read_object(exchange.body)
    script = Fault(400, "The request body is not valid JSON.") if body is None else read_script(body, None)
    if body is None or isinstance(script, Fault):
        assert isinstance(script, Fault)
        _refuse(exchange, record, bill=bill, fault=script)
        return
    record.model = str(body["model"])
    tokens = count_messages(body)
    if tokens is None:
        fault = Fault(400, "messages: Input should be a list of one or more messages")
        _refuse(exchange, record, bill=bill, fault=fault)
        return
    # A count is an estimate, the real one's as well.
    tokens = tokens * (100 + script.count_over - min(script.count_under, 100)) // 100
    record.status = 200
    bill.close(record, "complete")
    exchange.reply(200, JSON_TYPE + id_header(record), body=b'{"input_tokens":%d}' % tokens)


def _refuse(exchange: Exchange, record: Record, *, bill: Bill, fault: Fault) -> None:
    send_refusal(exchange, record, bill=bill, refusal=write_fault(fault, record.request_id))


class MessageAnswer(ChatAnswer):
    """One answer of Anthropic's dialect on its way."""

    def _midstream(self) -> bytes:
        return message_error(Fault(529, "Overloaded"), self._record.request_id)

    def _scripted_error(self, status: int) -> Refusal:
        return scripted_fault(status, self._record.request_id)

    def _writer(self) -> MessageEventWriter:
        return MessageEventWriter(self._call, self._answer, message_id=self._message_id())

    def _usage(self) -> MessageUsage | None:
        return message_usage_after(self._call, self._answer, generated_tokens=self._generated)

    def _generate(self, tokens: int) -> None:
        super()._generate(tokens)
        written = self._call.written_tokens
        record, rounds = self._record, self._call.rounds
        record.cache_write_5m_tokens, record.cache_write_1h_tokens = written
        if rounds is None:
            return
        record.searches = rounds.searches
        if rounds.compaction is not None:
            record.compacted_tokens = rounds.compaction.input_tokens, rounds.compaction.output_tokens
        if rounds.advice is not None:
            record.advisor = rounds.advice.model
            record.advised_tokens = rounds.advice.input_tokens, rounds.advice.output_tokens

    def _completion(self, usage: bytes) -> bytes:
        answer = self._answer
        blocks = search_blocks(self._call, self._message_id())
        if answer.reasoning_tokens:
            blocks.append(
                b'{"type":"thinking","thinking":"%b","signature":"%b"}'
                % (THINKING.encode(), SIGNATURE.encode())
            )
        blocks.append(self._content_block(b"".join(answer.pieces)))
        return (
            b'{"id":"%b","type":"message","role":"assistant","model":"%b","content":[%b],'
            b'"stop_reason":"%b","stop_sequence":null%b}'
        ) % (
            self._message_id(),
            self._call.model.encode(),
            b",".join(blocks),
            STOP_REASONS[answer.finish_reason].encode(),
            usage,
        )

    def _content_block(self, text: bytes) -> bytes:
        if self._answer.tool is None:
            return b'{"type":"text","text":"%b"}' % text
        # The pieces are escaped for a string; here the arguments stand as the object they are.
        arguments = json.loads(b'"%b"' % text)
        try:
            json.loads(arguments)
        except ValueError:  # cut off by the cap
            arguments = "{}"
        return b'{"type":"tool_use","id":"toolu_%b","name":%b,"input":%b}' % (
            self._message_id().removeprefix(b"msg_"),
            json.dumps(self._answer.tool).encode(),
            arguments.encode(),
        )

    def _message_id(self) -> bytes:
        return b"msg_" + self._record.request_id.removeprefix("req_").encode()
