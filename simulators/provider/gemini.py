"""Serve Gemini's methods: the same answers, pacing and faults as chat, in Google's shapes."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Final

from simulators.provider.answers import Answer
from simulators.provider.bill import Bill, Record
from simulators.provider.calls import Call, read_object
from simulators.provider.chat import ChatAnswer, id_header, send_refusal
from simulators.provider.gemini_calls import (
    METHODS,
    Target,
    read_embed_call,
    read_gemini_call,
    read_gemini_script,
    read_target,
)
from simulators.provider.gemini_counting import count_gemini, either
from simulators.provider.gemini_refusals import (
    GeminiFault,
    gemini_error,
    scripted_gemini_fault,
    write_gemini_fault,
)
from simulators.provider.gemini_streams import GeminiEventWriter, whole_answer
from simulators.provider.gemini_usages import GeminiUsage, gemini_usage_after
from simulators.provider.models import MODELS
from simulators.provider.refusals import JSON_TYPE, Refusal
from simulators.provider.wire import Exchange

LIST_PATH: Final = "/v1beta/models"
_ARRAY_TYPE: Final = b"content-type: application/json; charset=UTF-8\r\n"
_EVENTS_TYPE: Final = b"content-type: text/event-stream\r\n"
_DIMENSIONS: Final = 8


def is_gemini(target: str) -> bool:
    """Tell whether a path with its query is one of Gemini's."""
    return target.partition("?")[0] == LIST_PATH or read_target(target) is not None


def serve_gemini(
    exchange: Exchange, record: Record, *, bill: Bill, api_key: str | None
) -> Coroutine[None, None, None] | None:
    """Answer a request of Gemini's dialect at once where nothing has to be waited for, else return the work."""
    text = exchange.target.decode("latin-1")
    target = read_target(text) or Target("", "", "", "")
    fault = _fault_of_head(exchange, target, api_key)
    if fault is None and not target.method:
        _list(exchange, record, bill=bill)
        return None
    if fault is None and target.method == "countTokens":
        fault = _count(exchange, record, target, bill=bill)
        if fault is None:
            return None
    if fault is None:
        answer = _answer(exchange, record, target, bill=bill)
        if not isinstance(answer, GeminiFault):
            return answer.start()
        fault = answer
    send_refusal(exchange, record, bill=bill, refusal=write_gemini_fault(fault, stream=target.stream))
    return None


def _answer(exchange: Exchange, record: Record, target: Target, *, bill: Bill) -> ChatAnswer | GeminiFault:
    script = exchange.headers.get(b"x-sim-script")
    if target.method.startswith(("embed", "batchEmbed")):
        call = read_embed_call(exchange.body, target, script)
        if isinstance(call, GeminiFault):
            return call
        return GeminiEmbedding(exchange, record, bill=bill, call=call).of(target)
    call = read_gemini_call(exchange.body, target, script)
    if isinstance(call, GeminiFault):
        return call
    return GeminiAnswer(exchange, record, bill=bill, call=call).of(target)


def _fault_of_head(exchange: Exchange, target: Target, api_key: str | None) -> GeminiFault | None:
    if api_key is not None:
        presented = exchange.headers.get(b"x-goog-api-key", target.key.encode()).decode("latin-1")
        if not presented:
            return GeminiFault(403, "Method doesn't allow unregistered callers.")
        if presented != api_key:
            return GeminiFault(400, "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")
    if exchange.method != ("POST" if target.method else "GET"):
        return GeminiFault(404, "Not found")
    return GeminiFault(413, "Request payload size exceeds the limit.") if exchange.too_large else None


def _list(exchange: Exchange, record: Record, *, bill: Bill) -> None:
    listed = [
        {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": sorted(METHODS)}
        for name in MODELS
    ]
    _reply(exchange, record, bill=bill, body=json.dumps({"models": listed}).encode())


def _count(exchange: Exchange, record: Record, target: Target, *, bill: Bill) -> GeminiFault | None:
    body = read_object(exchange.body)
    if body is None:
        return GeminiFault(400, "Invalid JSON payload received.")
    script = read_gemini_script(target.model, None)
    if isinstance(script, GeminiFault):
        return script
    inner = either(body, "generateContentRequest")
    tokens = count_gemini(inner if isinstance(inner, dict) else body)
    if tokens is None:
        return GeminiFault(400, "* CountTokensRequest.contents: contents is not specified")
    record.model = target.model
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    document = {"totalTokens": tokens, "promptTokensDetails": details}
    _reply(exchange, record, bill=bill, body=json.dumps(document).encode())
    return None


def _reply(exchange: Exchange, record: Record, *, bill: Bill, body: bytes) -> None:
    record.status = 200
    bill.close(record, "complete")
    exchange.reply(200, JSON_TYPE + id_header(record), body=body)


class GeminiAnswer(ChatAnswer):
    """One answer of Gemini's dialect on its way."""

    _target = Target("", "", "", "")

    def __init__(self, exchange: Exchange, record: Record, *, bill: Bill, call: Call) -> None:
        super().__init__(exchange, record, bill=bill, call=call)
        if call.script.quirk == "blocked":
            self._answer = Answer([], "stop")
        elif call.script.quirk == "nocandidates":
            # It thought, and there was no room for more.
            self._answer = replace(self._answer, pieces=[], tool=None, finish_reason="length")

    def of(self, target: Target) -> GeminiAnswer:
        """Take note of the form that was asked for."""
        self._target = target
        self._stream_type = _ARRAY_TYPE if target.stream == "array" else _EVENTS_TYPE
        return self

    def _midstream(self) -> bytes:
        return gemini_error(GeminiFault(503, "The model is overloaded. Please try again later."))

    def _scripted_error(self, status: int) -> Refusal:
        return scripted_gemini_fault(status, stream=self._target.stream)

    def _writer(self) -> GeminiEventWriter:
        return GeminiEventWriter(
            self._call,
            self._answer,
            response_id=self._response_id(),
            is_array=self._target.stream == "array",
        )

    def _usage(self) -> GeminiUsage | None:
        return gemini_usage_after(self._call, self._answer, generated_tokens=self._generated)

    def _completion(self, usage: bytes) -> bytes:
        return whole_answer(self._call, self._answer, self._usage(), self._response_id())

    def _response_id(self) -> str:
        return self._record.request_id.removeprefix("req_")


class GeminiEmbedding(GeminiAnswer):
    """Vectors on their way; older models tell no usage with them."""

    def _completion(self, usage: bytes) -> bytes:
        contents = self._call.messages
        assert isinstance(contents, list)
        vectors = [{"values": _vector(content)} for content in contents]
        document: dict[str, object] = {"embedding": vectors[0]}
        if self._target.method == "batchEmbedContents":
            document = {"embeddings": vectors}
        if self._call.script.usage != "none":
            told = [{"modality": "TEXT", "tokenCount": self._call.prompt_tokens}]
            document["usageMetadata"] = {
                "promptTokenCount": self._call.prompt_tokens,
                "promptTokenDetails": told,  # in the singular, as the real one has it
            }
        return json.dumps(document).encode()


def _vector(content: object) -> list[float]:
    """A unit vector that depends on what is embedded alone."""
    place = sum(json.dumps(content).encode()) % _DIMENSIONS
    return [1.0 if index == place else 0.0 for index in range(_DIMENSIONS)]
