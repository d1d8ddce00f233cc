"""The way of one request, top to bottom: read, caller, quote, reserve, dispatch, relay, cost, settle.

From the grant on everything runs in a task that the caller's hang-up does not reach: a caller that has gone is charged
for what was used, and never refunded for work the provider did.
"""

from __future__ import annotations

import time

from enforcement.errors import EnforcementUnavailable
from metering.errors import RequestShapeError
from proxy.admission import Admission, Admitted, Request
from proxy.asgi import Headers
from proxy.bodies import aside
from proxy.callers import Callers
from proxy.clock import Clock
from proxy.ending import End, Ending, Receipt
from proxy.errors import NotSent, Refusal, Unfinished
from proxy.exchange import Exchange
from proxy.provider_errors import not_reached, of_status
from proxy.providers.base import Dialect, Prepared, Traits, Verdict, verdict_of
from proxy.relay import Relay
from proxy.requests import idempotency_digests, read_asked, read_body
from proxy.responses import send_whole, usd
from proxy.settings import Settings
from proxy.upstream import Answer, Door, Outgoing


class Pipeline:
    """Serves requests of one dialect."""

    def __init__(
        self,
        settings: Settings,
        *,
        callers: Callers,
        admission: Admission,
        door: Door,
        ending: Ending,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._callers = callers
        self._admission = admission
        self._door = door
        self._ending = ending
        self._clock = clock

    async def serve(self, exchange: Exchange, dialect: Dialect) -> None:
        """Serve one request. Raises: Refusal; EnforcementUnavailable when nothing may be dispatched."""
        request = await self._read(exchange, dialect)
        if request is None:
            exchange.code = "caller_gone"
            return
        admitted = await self._admission.admit(request)
        self._ending.watch_margin(admitted)
        plan, granted = admitted.plan, admitted.granted
        exchange.hold_id, exchange.key_id, exchange.model = (
            granted.hold_id,
            plan.caller.key.key_id,
            plan.model,
        )
        try:
            await self._carry_out(exchange, request, admitted)
        except (Refusal, EnforcementUnavailable):
            raise  # its hold was ended by what it means
        except Exception:
            # Nobody foresaw it. A hold that is left would be renewed for as long as this process lives.
            await self._ending.abandon(admitted)
            raise

    async def _carry_out(self, exchange: Exchange, request: Request, admitted: Admitted) -> None:
        plan = admitted.plan
        traits = request.dialect.traits_of(plan.account.provider)
        cap_tokens = admitted.granted.output_cap
        prepared = request.call.prepare(model=plan.model, cap_tokens=cap_tokens, traits=traits)
        answer = await self._dispatch(exchange, request, admitted, prepared, traits)
        try:
            await self._take(exchange, request, admitted, answer, prepared, traits)
        finally:
            await answer.close()

    async def _take(
        self,
        exchange: Exchange,
        request: Request,
        admitted: Admitted,
        answer: Answer,
        prepared: Prepared,
        traits: Traits,
    ) -> None:
        """Take an answer by what its status and its form say."""
        end = End("complete", answer.status, answer.request_id)
        verdict = verdict_of(answer.status, traits)
        if verdict is not Verdict.ANSWERED:
            await self._refused(exchange, admitted, answer, end, verdict)
        elif answer.encoding:
            end.word = "unreadable"
            await self._ending.leave_unresolved(admitted, end)
            why = f"its answer came encoded as {answer.encoding!r}, which nobody asked for"
            raise not_reached(Unfinished(why), admitted.plan.account)
        elif answer.header("content-type").startswith(traits.stream_types):
            tap = request.dialect.tap(strip_usage=prepared.strip_usage, traits=traits)
            relay = Relay(exchange, request, admitted, tap=tap, settings=self._settings)
            await relay.run(answer, end, self._ending, self._headers(exchange, admitted, None))
        else:
            await self._whole(exchange, request, admitted, answer, end, traits)

    async def _read(self, exchange: Exchange, dialect: Dialect) -> Request | None:
        asked = read_asked(exchange.scope)
        parsed = self._callers.parse(asked.key_text)
        body = await read_body(exchange.receive, body_bytes_max=self._settings.body_bytes_max)
        if body is None:
            return None
        try:
            call = await aside(len(body), dialect.decode, body)
        except RequestShapeError as error:
            raise Refusal("invalid_request", str(error), param=error.param) from error
        route = exchange.scope["path"]
        digests = None
        if asked.idempotency_key:
            digests = idempotency_digests(asked, key_id=parsed.digest, route=route, body=body)
        return Request(
            exchange.request_id,
            route,
            dialect,
            asked,
            call,
            self._clock.now_ms(),
            len(body),
            digests,
            exchange.scope["headers"],
        )

    async def _dispatch(
        self,
        exchange: Exchange,
        request: Request,
        admitted: Admitted,
        prepared: Prepared,
        traits: Traits,
    ) -> Answer:
        """Send the request; a hold that gets no answer is ended by what was, or may have been, written."""
        plan = admitted.plan
        headers = request.dialect.upstream_headers(plan.credential, exchange.scope["headers"], traits)
        path = request.dialect.path_for(plan.model, traits)
        outgoing = Outgoing(plan.account, path, prepared.body, request.call.stream, headers)
        sent = time.perf_counter()
        try:
            async with exchange.watch:
                return await self._door.send(admitted.granted, outgoing)
        except (NotSent, EnforcementUnavailable) as failure:
            await self._ending.release(admitted, End("not_sent"))
            if isinstance(failure, NotSent):
                raise not_reached(failure, plan.account) from failure
            raise
        except (Unfinished, TimeoutError) as failure:
            timed_out = failure.timed_out if isinstance(failure, Unfinished) else True
            await self._ending.leave_unresolved(admitted, End("timeout" if timed_out else "reset"))
            raise not_reached(Unfinished(str(failure), timed_out=timed_out), plan.account) from failure
        finally:
            exchange.upstream_seconds += time.perf_counter() - sent

    async def _refused(
        self, exchange: Exchange, admitted: Admitted, answer: Answer, end: End, verdict: Verdict
    ) -> None:
        """The provider answered with an error: book it by its verdict, then tell the caller."""
        try:
            body = await answer.read_whole(answer_bytes_max=self._settings.answer_bytes_max)
        except Unfinished:
            body = b""
        if verdict is Verdict.NOT_BILLED:
            end.word = "refused"
            receipt = await self._ending.release(admitted, end)
        else:
            end.word = "provider_error"
            receipt = await self._ending.leave_unresolved(admitted, end)
        refusal = of_status(answer, body, account=admitted.plan.account, model=admitted.plan.model)
        if refusal is not None:
            raise refusal
        exchange.code = "provider_error"
        headers = [*answer.forwarded_headers(), *self._headers(exchange, admitted, receipt)]
        exchange.started = True
        await send_whole(exchange.send, answer.status, body, headers)

    async def _whole(
        self,
        exchange: Exchange,
        request: Request,
        admitted: Admitted,
        answer: Answer,
        end: End,
        traits: Traits,
    ) -> None:
        """Read a whole answer, settle it, then pass it on with what it cost."""
        reading = time.perf_counter()
        try:
            async with exchange.watch:
                body = await answer.read_whole(answer_bytes_max=self._settings.answer_bytes_max)
        except (Unfinished, TimeoutError) as failure:
            end.word = "cut"
            await self._ending.leave_unresolved(admitted, end)
            broken = Unfinished("its answer broke off", timed_out=isinstance(failure, TimeoutError))
            raise not_reached(broken, admitted.plan.account) from failure
        exchange.upstream_seconds += time.perf_counter() - reading
        report = request.dialect.read_answer(body, traits)
        if report.error_inside:
            end.word = "error_inside"
        receipt = await self._ending.settle(admitted, end, report, request.call)
        headers = [*answer.forwarded_headers(), *self._headers(exchange, admitted, receipt)]
        exchange.started = True
        await send_whole(exchange.send, answer.status, body, headers)

    @staticmethod
    def _headers(exchange: Exchange, admitted: Admitted, receipt: Receipt | None) -> Headers:
        granted, cap = admitted.granted, admitted.plan.quote.cap
        headers: Headers = [
            (b"farebox-request-id", exchange.request_id.encode()),
            (b"farebox-quote-usd", usd(granted.cost_nanousd)),
            (
                b"farebox-remaining-usd",
                usd(receipt.remaining_nanousd if receipt else granted.remaining_nanousd),
            ),
        ]
        if receipt is not None:
            headers.append((b"farebox-cost-usd", usd(receipt.cost_nanousd)))
        if granted.clamped or cap.source != "caller":
            headers.append((b"farebox-output-cap", b"%d" % granted.output_cap))
        return headers
