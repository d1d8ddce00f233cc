"""Routes: the providers' interfaces under /v1 (and /anthropic/v1), and the simulator's own under /_sim."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Coroutine
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs

from simulators.provider.bill import Bill, Record
from simulators.provider.chat import send_refusal, serve_chat
from simulators.provider.completions import serve_completion
from simulators.provider.embeddings import serve_embeddings, serve_moderation
from simulators.provider.gemini import is_gemini, serve_gemini
from simulators.provider.gemini_refusals import GeminiFault, write_gemini_fault
from simulators.provider.message_refusals import Fault, write_fault
from simulators.provider.messages import COUNT_PATHS, MESSAGE_PATHS, serve_messages
from simulators.provider.models import MODELS, MODELS_PATH, serve_models
from simulators.provider.prices import describe
from simulators.provider.refusals import JSON_TYPE, refuse
from simulators.provider.responses import RESPONSE_PATHS, serve_responses
from simulators.provider.wire import Exchange

# What answers each route of OpenAI's interface.
_SERVED: Final = {
    "/v1/chat/completions": serve_chat,
    "/v1/completions": serve_completion,
    "/v1/embeddings": serve_embeddings,
    "/v1/moderations": serve_moderation,
    **dict.fromkeys(RESPONSE_PATHS, serve_responses),
}
_NDJSON_TYPE: Final = b"content-type: application/x-ndjson\r\n"
_LOG_LAST: Final = 100


class Provider:
    """The simulated provider: takes each request onto the bill and finds who answers it."""

    def __init__(self, bill: Bill, *, api_key: str | None) -> None:
        self._bill = bill
        self._api_key = api_key
        self._authorization = None if api_key is None else f"Bearer {api_key}".encode()

    def __call__(self, exchange: Exchange) -> Coroutine[None, None, None] | None:
        """Answer an exchange, or return the work that will."""
        target, _, query = exchange.target.partition(b"?")
        path = target.decode("latin-1")
        if path.startswith("/_sim/"):
            self._control(exchange, path, query=query.decode("latin-1"))
            return None
        record = self._enter(exchange, path)
        if record.dialect != "openai":
            serve = self._serve_gemini if record.dialect == "gemini" else self._serve_anthropic
            return serve(exchange, record)
        refusal = None
        if not self._is_known(exchange):
            message = "Incorrect API key provided. You can find your API key where the simulator was started."
            refusal = refuse(401, message, code="invalid_api_key")
        elif exchange.too_large:
            refusal = refuse(413, "The request body is over 32 MiB.", code="request_too_large")
        elif path in _SERVED and exchange.method == "POST":
            try:
                return _SERVED[path](exchange, record, bill=self._bill)
            except RecursionError:
                refusal = refuse(400, "The request is nested too deeply.")
        elif path.startswith(MODELS_PATH) and exchange.method == "GET":
            serve_models(exchange, record, bill=self._bill)
            return None
        else:
            refusal = refuse(404, f"Unknown request URL: {exchange.method} {path}.", code="unknown_url")
        send_refusal(exchange, record, bill=self._bill, refusal=refusal)
        return None

    def _is_known(self, exchange: Exchange) -> bool:
        """Whether the key was presented, as OpenAI's clients do or, on the list of models, as Anthropic's do."""
        headers = exchange.headers
        presented = [headers.get(b"authorization")]
        if b"x-api-key" in headers:
            presented.append(b"Bearer " + headers[b"x-api-key"])
        return self._authorization is None or self._authorization in presented

    def _serve_anthropic(self, exchange: Exchange, record: Record) -> Coroutine[None, None, None] | None:
        try:
            return serve_messages(exchange, record, bill=self._bill, api_key=self._api_key)
        except RecursionError:
            refusal = write_fault(Fault(400, "The request is nested too deeply."), record.request_id)
            send_refusal(exchange, record, bill=self._bill, refusal=refusal)
            return None

    def _serve_gemini(self, exchange: Exchange, record: Record) -> Coroutine[None, None, None] | None:
        try:
            return serve_gemini(exchange, record, bill=self._bill, api_key=self._api_key)
        except RecursionError:
            refusal = write_gemini_fault(GeminiFault(400, "The request is nested too deeply."))
            send_refusal(exchange, record, bill=self._bill, refusal=refusal)
            return None

    def _enter(self, exchange: Exchange, path: str) -> Record:
        headers = exchange.headers
        seq = self._bill.take_seq()
        record = Record(
            seq=seq,
            request_id=f"req_{self._bill.run}{seq:08x}",
            received_ms=time.time_ns() // 1_000_000,
            method=exchange.method,
            path=sys.intern(path),
            authorization=_fingerprint(_presented(headers)),
            hold_id=_text(headers.get(b"x-client-request-id")),
            idempotency_key=_text(headers.get(b"idempotency-key")),
            caller_request_id=_text(headers.get(b"x-request-id")),
            dialect=_dialect_of(path),
        )
        self._bill.begin(record)
        return record

    def _control(self, exchange: Exchange, path: str, *, query: str) -> None:
        options = parse_qs(query)
        kind = JSON_TYPE
        match exchange.method, path:
            case "GET", "/_sim/bill" if options.get("records") == ["1"]:
                kind, body = _NDJSON_TYPE, self._bill.lines()
            case "GET", "/_sim/bill":
                body = json.dumps(self._bill.totals()).encode()
            case "GET", "/_sim/log":
                last = options.get("last", [""])[0]
                body = json.dumps(self._bill.log(int(last) if last.isdecimal() else _LOG_LAST)).encode()
            case "GET", "/_sim/prices":
                body = json.dumps(describe(MODELS)).encode()
            case "POST", "/_sim/reset":
                self._bill.reset()
                body = json.dumps(self._bill.totals()).encode()
            case _:
                refusal = refuse(404, f"Unknown request URL: {exchange.method} {path}.", code="unknown_url")
                exchange.reply(404, refusal.headers, body=refusal.body)
                return
        exchange.reply(200, kind, body=body)


def _presented(headers: dict[bytes, bytes]) -> bytes | None:
    return next(filter(None, map(headers.get, (b"authorization", b"x-api-key", b"x-goog-api-key"))), None)


def _dialect_of(path: str) -> str:
    if path in MESSAGE_PATHS or path in COUNT_PATHS:
        return "anthropic"
    return "gemini" if is_gemini(path) else "openai"


@lru_cache(maxsize=1024)
def _fingerprint(authorization: bytes | None) -> str | None:
    return None if authorization is None else hashlib.sha256(authorization).hexdigest()[:12]


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")
