"""One stream on its way from provider to caller, and what is booked at its end."""

from __future__ import annotations

import asyncio
import time

from proxy.admission import Admitted, Request
from proxy.asgi import Headers
from proxy.ending import End, Ending
from proxy.errors import Refusal, Unfinished
from proxy.exchange import Exchange
from proxy.flights import watch_caller
from proxy.provider_errors import not_reached
from proxy.providers.base import Tap
from proxy.settings import Settings
from proxy.upstream import Answer

_STREAM_HEADERS: Headers = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]

# Ends of our own making: what the provider did until then was seen, so it is counted. Any other early end is in doubt.
_OURS = frozenset(("complete", "client_gone", "shutdown"))


class Relay:
    """Passes a stream on and listens; the caller may leave, the stream is read on for its usage."""

    def __init__(
        self, exchange: Exchange, request: Request, admitted: Admitted, *, tap: Tap, settings: Settings
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._admitted = admitted
        self._tap = tap
        self._settings = settings
        self._drain_ms = admitted.plan.caller.tenant.policy.drain_seconds * 1000
        self._sending = False

    async def run(self, answer: Answer, end: End, ending: Ending, headers: Headers) -> None:
        """Relay to the end, or to where it breaks off; then book it and close the answer."""
        exchange = self._exchange
        exchange.started = True
        all_headers = [*answer.forwarded_headers(), *headers, *_STREAM_HEADERS]
        await exchange.send({"type": "http.response.start", "status": answer.status, "headers": all_headers})
        watching = watch_caller(exchange.receive, exchange.watch, drain_ms=self._drain_ms)
        caller = asyncio.create_task(watching)
        relaying = time.perf_counter()
        try:
            end.word = await self._pump(answer)
        finally:
            exchange.upstream_seconds += time.perf_counter() - relaying
            caller.cancel()
        last = await self._book(end, ending)
        if not exchange.watch.caller_gone:
            await exchange.send({"type": "http.response.body", "body": last})

    async def _pump(self, answer: Answer) -> str:
        """Pass pieces on until the stream ends; return how it ended."""
        watch, tap = self._exchange.watch, self._tap
        try:
            async with watch:
                while True:
                    watch.allow(self._settings.idle_timeout_ms)
                    chunk = await answer.read_chunk()
                    if chunk is None:
                        break
                    await self._pass_on(tap.feed(chunk))
                await self._pass_on(tap.finish())
        except Unfinished as failure:
            return "timeout" if failure.timed_out else "cut"
        except TimeoutError:
            if watch.cut_word:
                return watch.cut_word
            if self._sending and not watch.caller_gone:
                # A caller that does not read for so long has gone as well: upstream is read on without it.
                watch.leave(self._drain_ms)
                return await self._pump(answer)
            return "client_gone" if watch.caller_gone else "timeout"
        return "client_gone" if watch.caller_gone else "complete"

    async def _pass_on(self, piece: bytes) -> None:
        if piece and not self._exchange.watch.caller_gone:
            self._sending = True
            await self._exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
            self._sending = False

    async def _book(self, end: End, ending: Ending) -> bytes:
        """Book the stream; return the last piece for the caller: an error where it broke off."""
        report = self._tap.report()
        self._exchange.code = "ok" if end.word == "complete" else end.word
        if end.word in _OURS or report.usage is not None or report.impossible:
            if report.error_inside and end.word == "complete":
                end.word = "error_inside"
            await ending.settle(self._admitted, end, report, self._request.call)
        else:
            await ending.leave_unresolved(self._admitted, end)
        if end.word in _OURS or end.word == "error_inside":
            return b""
        broken = not_reached(
            Unfinished("the stream broke off", timed_out=end.word == "timeout"), self._admitted.plan.account
        )
        return self._error(broken)

    def _error(self, refusal: Refusal) -> bytes:
        shape, docs_url = self._request.dialect.errors, self._settings.docs_url(refusal.code)
        return shape.event(shape.body(refusal, request_id=self._exchange.request_id, docs_url=docs_url))
