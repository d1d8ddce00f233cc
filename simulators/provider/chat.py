"""Serve a chat completion: the whole JSON answer, or the stream, or the fault that the script asks for."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib
from collections.abc import Coroutine
from typing import Final

from simulators.provider.answers import compose
from simulators.provider.bill import Bill, Record
from simulators.provider.calls import Call, read_call
from simulators.provider.refusals import JSON_TYPE, Refusal, error_body, scripted_error
from simulators.provider.streams import CLOSING, CONTENT, OPENING, Event, EventWriter, Writer
from simulators.provider.usages import Reported, swell, usage_after
from simulators.provider.wire import Exchange

_SSE_TYPE: Final = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
_BATCH_BYTES: Final = 64 * 1024


def serve_chat(exchange: Exchange, record: Record, *, bill: Bill) -> Coroutine[None, None, None] | None:
    """Answer a chat request at once where nothing has to be waited for, else return the work to be done."""
    call = read_call(exchange.body, exchange.headers.get(b"x-sim-script"))
    if isinstance(call, Refusal):
        send_refusal(exchange, record, bill=bill, refusal=call)
        return None
    return ChatAnswer(exchange, record, bill=bill, call=call).start()


def send_refusal(
    exchange: Exchange, record: Record, *, bill: Bill, refusal: Refusal, end: str = "refused"
) -> None:
    """Answer with an error; nothing was generated, so nothing is billed."""
    record.status = refusal.status
    bill.close(record, end)
    exchange.reply(refusal.status, refusal.headers + id_header(record), body=refusal.body)


def id_header(record: Record) -> bytes:
    """Write the header by which an answer can be matched with the bill."""
    name = b"request-id" if record.dialect == "anthropic" else b"x-request-id"
    return b"%b: %b\r\n" % (name, record.request_id.encode())


class ChatAnswer:
    """One answer on its way; the record always says what has been generated so far.

    What differs between dialects stands in the methods from `_midstream` to `_usage`.
    """

    _stream_type = _SSE_TYPE

    def __init__(self, exchange: Exchange, record: Record, *, bill: Bill, call: Call) -> None:
        self._exchange = exchange
        self._record = record
        self._bill = bill
        self._call = call
        self._answer = compose(call)
        self._generated = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pending_tokens = 0
        accepts_gzip = b"gzip" in exchange.headers.get(b"accept-encoding", b"")
        self._gzip = zlib.compressobj(wbits=31) if call.script.gzip and accepts_gzip else None

    def start(self) -> Coroutine[None, None, None] | None:
        """Answer at once where nothing has to be waited for, else return the work to be done."""
        call, script = self._call, self._call.script
        self._record.model = sys.intern(call.model)
        self._record.stream = call.stream
        if script.error_status is not None and not script.latency_ms:
            self._refuse(script.error_status)
            return None
        if call.stream or script.latency_ms or script.drip_ms or script.fault == "hang":
            return self._run()
        self._send_json()
        return None

    async def _run(self) -> None:
        # A caller who goes away cancels it.
        script = self._call.script
        end = "client_gone"
        try:
            if script.fault == "hang":
                end = "hung"
                await asyncio.Event().wait()
            if script.error_status is None and script.fault != "reset":
                # From here on the prompt is billed: the model is reading it.
                self._generate(0)
            await asyncio.sleep(script.latency_ms / 1000)
            if script.error_status is not None:
                self._refuse(script.error_status)
            elif self._call.stream and script.fault != "reset":
                await self._run_stream()
            else:
                await self._wait_for_words()
                self._send_json()
        finally:
            # Closing twice counts once: an answer that came to its end is on the bill already.
            self._bill.close(self._record, end)

    def _refuse(self, status: int) -> None:
        refusal = self._scripted_error(status)
        send_refusal(self._exchange, self._record, bill=self._bill, refusal=refusal, end="error")

    def _send_json(self) -> None:
        exchange, record, script = self._exchange, self._record, self._call.script
        if script.fault == "reset":
            self._bill.close(record, "reset")
            exchange.reset()
            return
        record.status = 200
        headers = JSON_TYPE + id_header(record)
        if script.fault == "midstream":
            self._bill.close(record, "midstream_error")
            exchange.reply(200, headers, body=self._midstream())
            return
        self._generate(self._answer.tokens * self._call.choices - self._generated)
        cut = script.cut_after is not None
        usage = self._usage()
        record.reported_usage = None if cut else usage
        body = self._completion(b"" if usage is None else b',"usage":' + usage.encode())
        if self._gzip is not None:
            body = self._gzip.compress(body) + self._gzip.flush()
            headers += b"content-encoding: gzip\r\n"
        self._close("cut" if cut else "complete")
        if cut:
            exchange.reply_half(200, headers, body=body)
        else:
            exchange.reply(200, headers, body=body)

    async def _wait_for_words(self) -> None:
        drip_s = self._call.script.drip_ms / 1000
        if not drip_s:
            return
        words = self._answer.spoken_tokens * self._call.choices
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            await asyncio.sleep(words * drip_s)
        except asyncio.CancelledError:
            self._generate(min(words, int((loop.time() - began_s) / drip_s)))
            raise

    async def _run_stream(self) -> None:
        call = self._call
        self._record.status = 200
        encoding = b"content-encoding: gzip\r\n" if self._gzip is not None else b""
        self._exchange.begin(self._stream_type + encoding + id_header(self._record))
        writer = self._writer()
        break_after, how = self._break_point()
        spoken = 0
        drip_ms = call.script.drip_ms
        for event in writer.events():
            breaks = spoken >= break_after or event.stage == CLOSING
            if break_after >= 0 and event.stage != OPENING and breaks:
                await self._break_off(how, writer)
                return
            if event.stage == CONTENT:
                spoken += 1
                if drip_ms:
                    await self._pass_on()
                    await asyncio.sleep(drip_ms / 1000)
            self._take(event)
            if self._pending_bytes >= _BATCH_BYTES:
                await self._pass_on()
        self._close("complete")
        self._flush(last=True)
        self._exchange.end()

    def _break_point(self) -> tuple[int, str]:
        script = self._call.script
        if script.cut_after is not None:
            return script.cut_after, "cut"
        if script.stall_after is not None:
            return script.stall_after, "stalled"
        if script.fault == "midstream":
            return self._answer.spoken_tokens * self._call.choices // 2, "midstream_error"
        return -1, ""

    async def _break_off(self, how: str, writer: Writer) -> None:
        if how == "stalled":
            try:
                await self._pass_on()
                await asyncio.Event().wait()
            finally:
                self._close(how)
        self._close(how)
        if how == "cut":
            self._flush()
            self._exchange.cut()
            return
        self._pending.append(writer.error(self._midstream()))
        self._flush(last=True)
        self._exchange.end()

    async def _pass_on(self) -> None:
        self._account()
        self._flush()
        await self._exchange.drain()

    def _take(self, event: Event) -> None:
        self._pending_tokens += event.tokens
        if event.usage is not None:
            self._record.reported_usage = event.usage
        self._pending.append(event.data)
        self._pending_bytes += len(event.data)

    def _flush(self, *, last: bool = False) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if self._gzip is not None:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        self._exchange.send(data)

    def _account(self) -> None:
        self._generate(self._pending_tokens)
        self._pending_tokens = 0

    def _close(self, end: str) -> None:
        # On the bill before the last bytes leave: who has the answer may ask for the bill at once.
        self._account()
        self._bill.close(self._record, end)

    def _generate(self, tokens: int) -> None:
        call, record = self._call, self._record
        self._generated += tokens
        record.prompt_tokens = call.prompt_tokens
        record.cached_tokens = call.cached_tokens
        record.completion_tokens = swell(call.script, self._generated)
        record.reasoning_tokens = min(self._generated, self._answer.reasoning_tokens * call.choices)

    def _completion_id(self) -> bytes:
        return b"chatcmpl-" + self._record.request_id.encode()

    # What differs between dialects.

    def _midstream(self) -> bytes:
        return error_body("The server had an error while processing your request.", kind="server_error")

    def _scripted_error(self, status: int) -> Refusal:
        return scripted_error(status)

    def _writer(self) -> Writer:
        return EventWriter(
            self._call,
            self._answer,
            completion_id=self._completion_id(),
            created_s=time.time_ns() // 1_000_000_000,
        )

    def _usage(self) -> Reported | None:
        return usage_after(self._call, self._answer, generated_tokens=self._generated)

    def _completion(self, usage: bytes) -> bytes:
        call, answer = self._call, self._answer
        text = b"".join(answer.pieces)
        if answer.tool is None:
            message = b'"content":"%b"' % text
        else:
            message = b'"content":null,"tool_calls":[{"id":"call_%b","type":"function","function":%b}]' % (
                self._completion_id(),
                b'{"name":"%b","arguments":"%b"}' % (json.dumps(answer.tool)[1:-1].encode(), text),
            )
        rest = b'"message":{"role":"assistant",%b,"refusal":null,"annotations":[]},"logprobs":null' % message
        choices = b",".join(
            b'{"index":%d,%b,"finish_reason":"%b"}' % (index, rest, answer.finish_reason.encode())
            for index in range(call.choices)
        )
        return (
            b'{"id":"%b","object":"chat.completion","created":%d,"model":"%b","choices":[%b]%b,'
            b'"service_tier":"default","system_fingerprint":"fp_sim"}'
        ) % (self._completion_id(), time.time(), call.model.encode(), choices, usage)
