"""What Gemini says back: whole answers, events of a stream, or elements of an array.

Source: 1,023 recorded answers read to 2026-11. Every chunk of a stream tells cumulative usage, the last wins; a stream
that breaks off before its ``finishReason`` has told the prompt alone. An error may come as a chunk of its own.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from metering.errors import UsageError
from metering.gemini import prompt_from_gemini, usage_from_gemini
from proxy.errors import Unfinished
from proxy.providers.base import Report
from proxy.providers.gemini_array import Elements, element_of
from proxy.providers.gemini_errors import ArrayErrors
from proxy.streaming import Events, begins_like_events, data_of

TEXT_CHARS_MAX = 16_000_000
ABSENT = msgspec.Raw(b"null")
_TIER = "service_tier_"


class Part(msgspec.Struct):
    """A part of an answer: text, a thought, a call, code."""

    text: str | None = None
    thought: bool | None = None
    function_call: msgspec.Raw = msgspec.field(default=ABSENT, name="functionCall")
    code: msgspec.Raw = msgspec.field(default=ABSENT, name="executableCode")
    result: msgspec.Raw = msgspec.field(default=ABSENT, name="codeExecutionResult")
    media: msgspec.Raw = msgspec.field(default=ABSENT, name="inlineData")


class Content(msgspec.Struct):
    """The parts of an answer."""

    parts: list[Part] | None = None


class Grounding(msgspec.Struct, rename="camel"):
    """What was searched for."""

    web_search_queries: list[str] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer, or a stretch of it."""

    content: Content | None = None
    finish_reason: str | None = None
    grounding_metadata: Grounding | None = None


class Feedback(msgspec.Struct, rename="camel"):
    """What was found of the prompt, by which no answer may come at all."""

    block_reason: str | None = None


class Chunk(msgspec.Struct, rename="camel"):
    """A whole answer, an event or an element."""

    candidates: list[Candidate] | None = None
    usage_metadata: msgspec.Raw = ABSENT
    prompt_feedback: Feedback | None = None
    model_version: str | None = None
    error: msgspec.Raw = ABSENT


_chunks = msgspec.json.Decoder(Chunk)
_objects = msgspec.json.Decoder(dict[str, Any])


class Listener:
    """Keeps what the chunks of one answer tell."""

    def __init__(self, model: str) -> None:
        """Listen to an answer of a model, whose generation decides how searches are billed."""
        self._model = model
        self._usage = ABSENT
        self._ended = False
        self._pieces: list[str] = []
        self._chars = 0
        self._queries: set[str] = set()
        self._pictured = False
        self._said = Report()

    def see(self, data: bytes) -> None:
        """Take one chunk's document."""
        try:
            chunk = _chunks.decode(data)
        except msgspec.DecodeError:
            self._see_loosely(data)
            return
        said = self._said
        for candidate in chunk.candidates or ():
            self._see_candidate(candidate)
        if is_given(chunk.usage_metadata):
            self._usage = msgspec.Raw(bytes(chunk.usage_metadata))  # a view would keep the whole chunk alive
        feedback = chunk.prompt_feedback
        self._ended = self._ended or bool(feedback and feedback.block_reason)
        said.response_model = (chunk.model_version or said.response_model).removeprefix("models/")
        said.error_inside = said.error_inside or is_given(chunk.error)

    def end(self) -> None:
        """Take note that the answer came whole."""
        self._ended = True

    def report(self) -> Report:
        """Tell what was said so far."""
        said = self._said
        said.text = "".join(self._pieces)
        try:
            told = _objects.decode(self._usage) if is_given(self._usage) else None
            said.prompt = prompt_from_gemini(told)
            if self._ended:
                model = said.response_model or self._model
                usage = usage_from_gemini(
                    told, queries=len(self._queries), model=model, pictured=self._pictured
                )
                # Gemma's answers have come with a prompt's count alone: absent is not zero.
                is_whole = usage is not None and (usage.all_output_tokens or not said.text)
                said.usage = usage if is_whole else None
        except (UsageError, msgspec.DecodeError) as error:
            said.usage = None
            said.impossible = f"the usage cannot be read: {error}"
            return said
        tier = (told or {}).get("serviceTier")
        said.service_tier = tier.lower().removeprefix(_TIER) if isinstance(tier, str) else ""
        said.thought = said.thought or bool((told or {}).get("thoughtsTokenCount"))
        return said

    def _see_candidate(self, candidate: Candidate) -> None:
        for part in (candidate.content.parts if candidate.content else None) or ():
            self._take(part.text)
            self._said.thought = self._said.thought or bool(part.thought)
            for raw in (part.function_call, part.code, part.result):
                if is_given(raw):
                    self._take(bytes(raw).decode("utf-8", "replace"))
            self._said.tool_calls += is_given(part.function_call)
            if is_given(part.media):
                self._pictured = self._pictured or b"audio/" not in bytes(part.media)[:256]
                self._said.thought = True  # of media nobody can tell the tokens that it took
        self._ended = self._ended or bool(candidate.finish_reason)
        grounding = candidate.grounding_metadata
        self._queries.update(filter(None, (grounding.web_search_queries if grounding else None) or ()))

    def _see_loosely(self, data: bytes) -> None:
        """Of a chunk with unexpected types, the usage and the error alone; of one that is no JSON, its length."""
        try:
            loose = _objects.decode(data)
        except msgspec.DecodeError:
            self._take(data.decode("utf-8", "replace"))
            return
        if loose.get("usageMetadata") is not None:
            self._usage = msgspec.Raw(msgspec.json.encode(loose["usageMetadata"]))
        self._said.error_inside = self._said.error_inside or "error" in loose
        self._take(msgspec.json.encode(loose.get("candidates")).decode())

    def _take(self, text: str | None) -> None:
        """Keep a piece of text, up to more than any answer has."""
        if text and self._chars < TEXT_CHARS_MAX:
            self._pieces.append(text)
            self._chars += len(text)


class GeminiTap(Protocol):
    """A tap that can be told to read a whole body."""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk from upstream."""

    def finish(self) -> bytes:
        """Return what is still kept back."""

    def report(self) -> Report:
        """Tell what the stream said."""


class EventTap:
    """Listens to server-sent events; every one goes on as it came."""

    def __init__(self, model: str) -> None:
        """Listen to an answer of a model."""
        self._events = Events()
        self._listener = Listener(model)

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk from upstream, return what goes to the caller now."""
        events = self._events.feed(chunk)
        for event in events:
            self._see(event)
        return b"".join(events)

    def finish(self) -> bytes:
        """Return what is still kept back at the end of the stream."""
        rest = self._events.finish()
        self._see(rest)
        self._listener.end()
        return rest

    def report(self) -> Report:
        """Tell what the stream said so far."""
        return self._listener.report()

    def _see(self, event: bytes) -> None:
        data = data_of(event)
        if data:
            self._listener.see(data)


class ArrayTap:
    """Listens to a JSON array; whole elements go on, so that an error of ours can still follow them."""

    def __init__(self, model: str, errors: ArrayErrors) -> None:
        """Listen to an answer of a model; ``errors`` is told once an element has gone on."""
        self._elements = Elements()
        self._listener = Listener(model)
        self._errors = errors

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk from upstream, return what goes to the caller now."""
        pieces = self._elements.feed(chunk)
        for piece in pieces:
            self._listener.see(element_of(piece))
        self._errors.began = self._errors.began or bool(pieces)
        return b"".join(pieces)

    def finish(self) -> bytes:
        """Return what is still kept back at the end of the stream."""
        rest = self._elements.finish()
        if element_of(rest).strip(b"] \t\r\n"):
            self._listener.see(rest)
        self._listener.end()
        return rest

    def report(self) -> Report:
        """Tell what the stream said so far."""
        return self._listener.report()


def read_answer(body: bytes, model: str) -> Report:
    """Read a whole answer, also one that came as a stream although none was asked for."""
    tap: GeminiTap | None = None
    if begins_like_events(body):
        tap = EventTap(model)
    elif body.lstrip().startswith(b"["):
        tap = ArrayTap(model, ArrayErrors())
    if tap is None:
        listener = Listener(model)
        listener.see(body)
        listener.end()
        return listener.report()
    try:
        tap.feed(body)
        tap.finish()
    except Unfinished:
        return Report(text=body.decode("utf-8", "replace"))
    return tap.report()


def is_given(raw: msgspec.Raw) -> bool:
    """Tell whether a field was given: absent and null are alike."""
    return raw is not ABSENT and bytes(raw) != b"null"
