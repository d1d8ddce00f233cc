"""A request's way through the simulator: who asks, may they, have they asked before, then the endpoint."""

from __future__ import annotations

import asyncio
import json
import re
import time
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass, field
from urllib.parse import unquote

from simulators.provider.wire import Exchange
from simulators.stripe import endpoints, paying_page
from simulators.stripe.access import permit
from simulators.stripe.checking import Checker
from simulators.stripe.control import Control
from simulators.stripe.faults import Failed, fail_at_edge, fail_inside, promise
from simulators.stripe.forms import read_form
from simulators.stripe.idempotency import keep, recall, release
from simulators.stripe.knobs import Fault, take_fault
from simulators.stripe.meter_streams import session_of
from simulators.stripe.pace import Pace
from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.routes import Call, Route, find_route, refuse_unknown
from simulators.stripe.store import Book, Obj, World, make_id

API_VERSION = "2026-10-28.endive"
_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}(\.\w+)?$")
_STREAM_PATH = "/v2/billing/meter_event_stream"
_LOG_MAX = 20_000

assert endpoints.LOADED


@dataclass(slots=True)
class Answer:
    """What will be said, and the request it is said to."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    call: Call | None = None
    html: bool = False


class Simulator:
    """The simulated Stripe: answers each exchange, and writes down what it was."""

    def __init__(self, world: World, checker: Checker | None) -> None:
        self._world = world
        self._checker = checker
        self._pace = Pace()
        self._control = Control(world, self._pace)
        self._working: set[asyncio.Task[Answer]] = set()

    def __call__(self, exchange: Exchange) -> Coroutine[None, None, None] | None:
        """Answer an exchange, or return the work that will."""
        target = exchange.target.decode("latin-1")
        if target.startswith("/_sim"):
            status, told = self._control.answer(exchange.method, target, exchange.body)
            exchange.reply(status, b"content-type: application/json\r\n", body=json.dumps(told).encode())
            return None
        if self._world.pays_at and target.startswith(paying_page.PREFIX):
            status, head, page = paying_page.serve(self._world, exchange.method, target, exchange.body)
            exchange.reply(status, head, body=page)
            return None
        return self._serve(exchange, target)

    async def _serve(self, exchange: Exchange, target: str) -> None:
        path, _, query = target.partition("?")
        path = unquote(path)
        text = exchange.body.decode("utf-8", "replace") if exchange.body else query
        fault = take_fault(self._world.faults, exchange.method, path, text=text)
        work = asyncio.ensure_future(self._work(exchange, path, query=query, fault=fault))
        # A caller who hangs up does not stop the work it asked for.
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        answer = await asyncio.shield(work)
        if fault is not None and fault.kind == "drop":
            exchange.reset()
        elif fault is not None and fault.kind == "hang":
            await asyncio.get_running_loop().create_future()
        else:
            exchange.reply(answer.status, _head(answer), body=answer.body)

    async def _work(self, exchange: Exchange, path: str, *, query: str, fault: Fault | None) -> Answer:
        if fault is not None and fault.before_ms:
            await asyncio.sleep(fault.before_ms / 1000)
        self._world.clock.run_due()
        entry: Obj = {
            "seq": self._world.take_seq(), "at": self._world.clock.now(), "wall": time.time(),
            "method": exchange.method, "path": path, "fault": fault.kind if fault else None,
        }  # fmt: skip
        self._world.log.append(entry)
        del self._world.log[:-_LOG_MAX]
        answer = self._answer(exchange, path, query=query, fault=fault, entry=entry)
        entry["status"] = answer.status
        try:
            wait_ms = self._world.knobs.latency_after_commit_ms if exchange.method == "POST" else 0
            wait_ms += fault.after_ms if fault is not None else 0
            if wait_ms:
                await asyncio.sleep(wait_ms / 1000)
        finally:
            if answer.call is not None:
                self._world.busy.difference_update(answer.call.locks)
                release(answer.call)
        return answer

    def _answer(
        self, exchange: Exchange, path: str, *, query: str, fault: Fault | None, entry: Obj
    ) -> Answer:
        request_id = entry["request_id"] = make_id("req")
        call: Call | None = None
        v2 = path.startswith("/v2/")
        headers = {"Request-Id": request_id}
        try:
            call, found = self._enter(exchange, path, query=query, request_id=request_id)
            headers |= {"Stripe-Version": call.api_version}
            if call.idempotency_key is not None:
                headers["Idempotency-Key"] = call.idempotency_key
            if call.book.connected:
                headers["Stripe-Account"] = call.book.account
            entry |= _describe(call)
            return self._execute(call, found, fault=fault, headers=headers, entry=entry)
        except Failed as failure:
            return Answer(failure.status, failure.body, headers, call, html=failure.html)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
            # Parameters of a shape that nobody thought of; said aloud, for it may be the simulator's own fault.
            traceback.print_exc()
            if call is not None:
                keep(call, 400, b"", saved=False)
            body = invalid(f"The request could not be read: {error!r}").body(v2=v2, request_id=request_id)
            return Answer(400, body, headers, call)
        except Refused as refusal:
            entry["error"] = refusal.code or refusal.message
            body = refusal.body(v2=v2, request_id=request_id)
            if call is not None:
                keep(call, refusal.status, body, saved=refusal.saved)
            return Answer(refusal.status, body, headers | refusal.headers, call)

    def _enter(self, exchange: Exchange, path: str, *, query: str, request_id: str) -> tuple[Call, Route]:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers.items()
        }
        version = headers.get("stripe-version", API_VERSION)
        if not _VERSION.match(version):
            raise invalid(f"Invalid Stripe API version: {version}").unsaved()
        if path == _STREAM_PATH:
            key, book = session_of(self._world, headers.get("authorization", ""))
        else:
            key = self._world.keys.authenticate(headers.get("authorization", ""))
            account = self._world.keys.reach(key, headers.get("stripe-account"))
            book = self._world.book(account, livemode=key.livemode)
        found, names = find_route(exchange.method, path)
        call = Call(self._world, book, key, exchange.method, path, request_id, names=names)
        call.idempotency_key = headers.get("idempotency-key")
        call.api_version = version
        permit(key, found.permission, book.account)
        self._take_pace(call, found, book)
        kind = headers.get("content-type", "")
        call.params = _read_params(call, exchange.body, query=query, kind=kind)
        return call, found

    def _take_pace(self, call: Call, found: Route, book: Book) -> None:
        self._pace.take(
            self._world.knobs,
            account=book.account,
            livemode=book.livemode,
            endpoint=found.template,
            connected=book.connected,
        )

    def _execute(
        self, call: Call, found: Route, *, fault: Fault | None, headers: dict[str, str], entry: Obj
    ) -> Answer:
        fail_at_edge(fault)
        refuse_unknown(found, call.params)
        if self._checker is not None:
            self._checker.check_request(call.method, call.path, call.params)
        kept = recall(call)
        if kept is not None:
            entry["replayed"] = kept.request_id
            replayed = {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
            return Answer(kept.status, kept.body, headers | replayed, call)
        fail_inside(fault)
        promise(fault, call)
        told = found.handler(call)
        body = json.dumps(told).encode()
        if self._checker is not None:
            problems = self._checker.check_answer(call.method, call.path, told)
            entry |= {"answer_problems": problems} if problems else {}
        keep(call, 200, body, saved=True)
        fail_inside(fault, done=True)
        return Answer(200, body, headers, call)


def _read_params(call: Call, body: bytes, *, query: str, kind: str) -> Obj:
    if not call.v2 or call.method == "GET":
        is_form = bool(body) and call.method != "GET"
        return read_form(body.decode("utf-8", "replace") if is_form else query)
    if not body:
        return {}
    if not kind.startswith("application/json"):
        raise invalid("Requests to /v2 must have the content type application/json.").unsaved()
    try:
        params = json.loads(body)
    except ValueError:
        raise invalid("The request body is not JSON.").unsaved() from None
    if not isinstance(params, dict):
        raise invalid("The request body is not a JSON object.").unsaved()
    return params


def _describe(call: Call) -> Obj:
    return {
        "account": call.book.account, "livemode": call.book.livemode, "key": call.key.fingerprint,
        "idempotency_key": call.idempotency_key, "api_version": call.api_version, "params": call.params,
    }  # fmt: skip


def _head(answer: Answer) -> bytes:
    kind = "text/html" if answer.html else "application/json"
    lines = {"Content-Type": kind, **answer.headers}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
