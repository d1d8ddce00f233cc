"""The chunks of a streamed Gemini answer, as events or as the elements of one array, and whole answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from simulators.provider.answers import Answer
from simulators.provider.calls import Call
from simulators.provider.gemini_usages import GeminiUsage, gemini_usage_after
from simulators.provider.streams import CLOSING, CONTENT, OPENING, Event

FINISH_REASONS: Final = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
THOUGHT: Final = "The model thought about it; this is all that is shown of it."
SIGNATURE: Final = "c2ltdWxhdGVkIHNpZ25hdHVyZQ=="
_QUERIES: Final = ["first thing to look up", "", "second thing to look up"]


class GeminiEventWriter:
    """Writes one call's answer in chunks, each with the usage so far."""

    def __init__(self, call: Call, answer: Answer, *, response_id: str, is_array: bool) -> None:
        self._call = call
        self._answer = answer
        self._id = response_id
        self._is_array = is_array
        self._generated = 0
        self._begun = False

    def events(self) -> Iterator[Event]:
        """Yield the whole answer's chunks."""
        call, answer = self._call, self._answer
        thoughts = answer.reasoning_tokens * call.choices
        if thoughts:
            yield self._chunk(OPENING, 0, [{"text": THOUGHT, "thought": True}], tokens=thoughts)
        if call.script.quirk == "blocked":
            yield self._event(OPENING, blocked(self._usage(), self._head()), 0)
        elif answer.tool is None:
            for piece in answer.pieces:
                for index in range(call.choices):
                    yield self._chunk(CONTENT, index, [{"text": json.loads(b'"%b"' % piece)}], tokens=1)
        for index in range(0 if call.script.quirk == "blocked" else call.choices):
            called = [] if answer.tool is None else call_parts(answer)
            spoken = answer.spoken_tokens if called else 0
            yield self._chunk(CLOSING, index, called or [{"text": ""}], tokens=spoken, last=True)
        if self._is_array:
            yield Event(b"]" if self._begun else b"[]", CLOSING)

    def error(self, body: bytes) -> bytes:
        """Write an error as a chunk, as the provider does once the status has gone out."""
        one_line = json.dumps(json.loads(body)).encode()
        return self._framed(one_line) + (b"]" if self._is_array else b"")

    def _chunk(
        self, stage: int, index: int, parts: list[dict[str, Any]], *, tokens: int, last: bool = False
    ) -> Event:
        self._generated += tokens
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
        if last:
            candidate["finishReason"] = FINISH_REASONS[self._answer.finish_reason]
            candidate |= grounding(self._call)
        document = {"candidates": [candidate], **self._head()}
        usage = self._usage()
        if usage is not None and (last or self._call.script.quirk != "lastusage"):
            document["usageMetadata"] = usage.as_dict()
        return self._event(stage, document, tokens)

    def _event(self, stage: int, document: dict[str, Any], tokens: int) -> Event:
        # What is told so far counts as told; a caller who reads on is told more.
        usage = self._usage() if "usageMetadata" in document else None
        return Event(self._framed(json.dumps(document, ensure_ascii=False).encode()), stage, tokens, usage)

    def _framed(self, body: bytes) -> bytes:
        if not self._is_array:
            return b"data: %b\r\n\r\n" % body  # both ends of a line, as the real one has
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + body

    def _usage(self) -> GeminiUsage | None:
        return gemini_usage_after(self._call, self._answer, generated_tokens=self._generated)

    def _head(self) -> dict[str, Any]:
        return {"modelVersion": self._call.model, "responseId": self._id}


def whole_answer(call: Call, answer: Answer, usage: GeminiUsage | None, response_id: str) -> bytes:
    """Write an answer that is no stream."""
    head: dict[str, Any] = {"modelVersion": call.model, "responseId": response_id}
    if call.script.quirk == "blocked":
        return json.dumps(blocked(usage, head)).encode()
    text = json.loads(b'"%b"' % b"".join(answer.pieces))
    parts = call_parts(answer) if answer.tool is not None else [{"text": text}]
    if answer.reasoning_tokens:
        parts = [{"text": THOUGHT, "thought": True}, *parts]
    document = {
        "candidates": [
            {
                "content": {"parts": parts, "role": "model"},
                "finishReason": FINISH_REASONS[answer.finish_reason],
                "index": index,
                **grounding(call),
            }
            for index in range(call.choices)
        ],
        **({} if usage is None else {"usageMetadata": usage.as_dict()}),
        **head,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def call_parts(answer: Answer) -> list[dict[str, Any]]:
    """The parts of an answer that calls a function."""
    try:
        arguments = json.loads(json.loads(b'"%b"' % b"".join(answer.pieces)))
    except ValueError:  # cut off by the cap
        arguments = {}
    call = {"name": answer.tool, "args": arguments}
    return [{"functionCall": call, "thoughtSignature": SIGNATURE}]


def grounding(call: Call) -> dict[str, Any]:
    """What was searched for, where the script searches; an empty query among them, as has been seen."""
    return {"groundingMetadata": {"webSearchQueries": _QUERIES}} if call.script.quirk == "grounded" else {}


def blocked(usage: GeminiUsage | None, head: dict[str, Any]) -> dict[str, Any]:
    """What comes instead of an answer to a prompt that was blocked."""
    told = {} if usage is None else {"usageMetadata": usage.as_dict()}
    return {"promptFeedback": {"blockReason": "SAFETY"}, **told, **head}
