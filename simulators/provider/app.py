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
from simulators.provider.chat import id_header, send_refusal, serve_chat
from simulators.provider.message_refusals import Fault, write_fault
from simulators.provider.messages import COUNT_PATHS, MESSAGE_PATHS, serve_messages
from simulators.provider.prices import describe
from simulators.provider.refusals import JSON_TYPE, refuse
from simulators.provider.script import read_model
from simulators.provider.wire import Exchange

# Any name that the script's grammar allows is a model; these are listed as examples.
MODELS: Final = [
    "sim-exact", "sim-mini", "sim-echo", "sim-words-100", "sim-slow-500", "sim-drip-20", "sim-cut-5",
    "sim-stall-5", "sim-nousage", "sim-zerousage", "sim-over-50", "sim-error-400", "sim-error-401",
    "sim-error-403", "sim-error-404", "sim-error-429", "sim-error-500", "sim-error-502", "sim-error-503",
    "sim-error-529", "sim-hang", "sim-reset", "sim-tools", "sim-json", "sim-usage-every", "sim-usage-choice",
    "sim-usage-not-last", "sim-midstream-error", "sim-reasoning-50", "sim-cached-10", "sim-crlf",
    "sim-comments", "sim-gzip", "sim-cachewrite-10", "sim-cachewrite1h-10",
]  # fmt: skip
_MODELS_PATH: Final = "/v1/models"
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
        if record.dialect == "anthropic":
            return self._serve_anthropic(exchange, record)
        refusal = None
        if self._authorization not in (None, exchange.headers.get(b"authorization")):
            message = "Incorrect API key provided. You can find your API key where the simulator was started."
            refusal = refuse(401, message, code="invalid_api_key")
        elif exchange.too_large:
            refusal = refuse(413, "The request body is over 32 MiB.", code="request_too_large")
        elif path == "/v1/chat/completions" and exchange.method == "POST":
            try:
                return serve_chat(exchange, record, bill=self._bill)
            except RecursionError:
                refusal = refuse(400, "The request is nested too deeply.")
        elif path.startswith(_MODELS_PATH) and exchange.method == "GET":
            self._models(exchange, record, name=path.removeprefix(_MODELS_PATH))
            return None
        else:
            refusal = refuse(404, f"Unknown request URL: {exchange.method} {path}.", code="unknown_url")
        send_refusal(exchange, record, bill=self._bill, refusal=refusal)
        return None

    def _serve_anthropic(self, exchange: Exchange, record: Record) -> Coroutine[None, None, None] | None:
        try:
            return serve_messages(exchange, record, bill=self._bill, api_key=self._api_key)
        except RecursionError:
            refusal = write_fault(Fault(400, "The request is nested too deeply."), record.request_id)
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
            authorization=_fingerprint(headers.get(b"authorization") or headers.get(b"x-api-key")),
            hold_id=_text(headers.get(b"x-client-request-id")),
            idempotency_key=_text(headers.get(b"idempotency-key")),
            caller_request_id=_text(headers.get(b"x-request-id")),
            dialect="anthropic" if path in MESSAGE_PATHS or path in COUNT_PATHS else "openai",
        )
        self._bill.begin(record)
        return record

    def _models(self, exchange: Exchange, record: Record, *, name: str) -> None:
        if not name:
            found: object = {"object": "list", "data": [_model(model) for model in MODELS]}
        elif name.startswith("/") and read_model(name[1:]) is not None:
            found = _model(name[1:])
        else:
            message = f"The model `{name[1:]}` does not exist or you do not have access to it."
            refusal = refuse(404, message, code="model_not_found", param="model")
            send_refusal(exchange, record, bill=self._bill, refusal=refusal)
            return
        record.status = 200
        self._bill.close(record, "complete")
        exchange.reply(200, JSON_TYPE + id_header(record), body=json.dumps(found).encode())

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


@lru_cache(maxsize=1024)
def _fingerprint(authorization: bytes | None) -> str | None:
    return None if authorization is None else hashlib.sha256(authorization).hexdigest()[:12]


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "simulator"}
