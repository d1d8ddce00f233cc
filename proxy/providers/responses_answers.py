"""What comes back for a Responses request: whole answers and events, read no further than usage and text need.

Sources: 585 recorded answers, 138 of them streams, read to 2026-11. Usage stands in the response that the last event
carries (``response.completed``, ``response.incomplete``, ``response.failed``) and nowhere else; it may be all zero
where an answer was cut off, and is absent while one is queued; OpenRouter adds ``[DONE]``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from metering.errors import UsageError
from metering.responses_usage import searches_of, usage_from_responses
from proxy.errors import Unfinished
from proxy.providers.base import Report
from proxy.streaming import Events, begins_like_events, data_of

TEXT_CHARS_MAX = 16_000_000
_ABSENT = msgspec.Raw(b"null")
# Text that counts as output, by the event that carries it; `done` events only repeat it.
_SPOKEN = frozenset(
    {
        *("response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta"),
        *("response.custom_tool_call_input.delta", "response.mcp_call_arguments.delta"),
        *("response.code_interpreter_call_code.delta", "response.reasoning_text.delta"),
    }
)
# Events that carry a response which has only begun; any other that carries one tells how it ended.
_BEGUN = frozenset({"response.created", "response.in_progress", "response.queued"})
# An answer in such a state is being worked on: what it will cost nobody has told.
_UNENDED = frozenset({"queued", "in_progress"})


class Action(msgspec.Struct):
    """What a call of the provider's own tool did."""

    type: str = ""


class Part(msgspec.Struct):
    """A part of a message."""

    text: str | None = None
    refusal: str | None = None


class Item(msgspec.Struct):
    """An output item, whole or as a stream opens it."""

    type: str = ""
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # an object where the provider searched for tools
    input: str | None = None
    code: str | None = None
    content: list[Part] | None = None
    action: Action | None = None


class Answer(msgspec.Struct):
    """A response, whole or as an event carries it; ``object`` tells a compaction from it."""

    model: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    usage: msgspec.Raw = _ABSENT
    tool_usage: msgspec.Raw = _ABSENT
    service_tier: str | None = None
    error: msgspec.Raw = _ABSENT


class Event(msgspec.Struct):
    """An event of a stream."""

    type: str = ""
    delta: msgspec.Raw = _ABSENT
    item: msgspec.Raw = _ABSENT
    response: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


_answers = msgspec.json.Decoder(Answer)
_events = msgspec.json.Decoder(Event)
_items = msgspec.json.Decoder(Item)
_texts = msgspec.json.Decoder(str)
_objects = msgspec.json.Decoder(dict[str, Any])
_anything = msgspec.json.Decoder()


class Shown:
    """What an answer showed of what was generated."""

    __slots__ = ("calls", "chars", "pieces", "thought")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.chars = 0
        self.calls = 0
        self.thought = False

    def take(self, *pieces: str | None) -> None:
        """Keep pieces of text, up to more than any answer has."""
        for piece in pieces:
            if piece and self.chars < TEXT_CHARS_MAX:
                self.pieces.append(piece)
                self.chars += len(piece)

    def take_item(self, item: Item, *, whole: bool) -> None:
        """Take note of an item; of a whole one keep what it shows."""
        self.thought = self.thought or item.type == "reasoning"
        called = item.type.endswith("_call")
        self.calls += called
        if called:
            self.take(item.name)
        if whole:
            arguments = item.arguments
            self.take(arguments if isinstance(arguments, str) else None, item.input, item.code)
            for part in item.content or ():
                self.take(part.text, part.refusal)

    def put_into(self, report: Report) -> None:
        """Tell a report what was shown."""
        report.text = "".join(self.pieces)
        report.tool_calls = self.calls
        report.thought = report.thought or self.thought


def read_answer(body: bytes) -> Report:
    """Read a whole answer; its text only where the usage does not suffice."""
    if begins_like_events(body):
        return _read_misnamed(body)
    answer, text = _decode(body)
    report = Report()
    _take(report, answer)
    shown = Shown()
    shown.take(text)
    if report.usage is None or not report.usage.all_output_tokens:
        for item in answer.output or ():
            shown.take_item(item, whole=True)
    shown.put_into(report)
    return report


class ResponsesTap:
    """Listens to a stream of a Responses answer, every byte of which is the caller's."""

    __slots__ = ("_error_inside", "_events", "_last", "_model", "_shown")

    def __init__(self) -> None:
        self._events = Events()
        self._last: bytes | None = None
        self._model = ""
        self._shown = Shown()
        self._error_inside = False

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk from upstream, return what goes to the caller now."""
        # Whole events alone: half of one, and then our error, would be no event to anybody.
        events = self._events.feed(chunk)
        for event in events:
            self._see(data_of(event))
        return b"".join(events)

    def finish(self) -> bytes:
        """Return what is still kept back at the end of the stream."""
        rest = self._events.finish()
        if rest:
            self._see(data_of(rest))
        return rest

    def report(self) -> Report:
        """Tell what the stream said so far."""
        report = Report(response_model=self._model, error_inside=self._error_inside)
        self._shown.put_into(report)
        if self._last is not None:
            answer, _ = _decode(self._last)
            _take(report, answer)
        return report

    def _see(self, data: bytes) -> None:
        if not data or data == b"[DONE]":
            return
        try:
            event = _events.decode(data)
        except msgspec.DecodeError:
            return
        if event.type in _SPOKEN:
            self._shown.take(_text_of(event.delta))
        elif event.type == "response.output_item.added":
            self._shown.take_item(_item_of(event.item), whole=False)
        elif event.type in _BEGUN:
            self._model = self._model or _decode(bytes(event.response))[0].model or ""
            self._shown.thought = self._shown.thought or event.type == "response.queued"
        elif _is_given(event.response):
            self._last = bytes(event.response)
        self._error_inside = self._error_inside or event.type == "error" or _is_given(event.error)


def _read_misnamed(body: bytes) -> Report:
    """Read a stream that came under another content type."""
    tap = ResponsesTap()
    try:
        tap.feed(body)
    except Unfinished:
        return Report(text=body.decode("utf-8", "replace"))
    tap.finish()
    return tap.report()


def _take(report: Report, answer: Answer) -> None:
    """Put what a response says of its bill into a report."""
    report.response_model = answer.model or report.response_model
    report.service_tier = answer.service_tier or ""
    report.error_inside = report.error_inside or _is_given(answer.error)
    try:
        items = [(item.type, _action_of(item)) for item in answer.output or ()]
        told = searches_of(_anything.decode(answer.tool_usage))
        report.usage = usage_from_responses(_usage_of(answer.usage), items=items, searches=told)
    except UsageError as error:
        report.impossible = str(error)
    if report.usage is None and answer.status in _UNENDED:
        report.thought = True


def _decode(body: bytes) -> tuple[Answer, str]:
    """Read a response; of one with unexpected types, what tells the bill alone, the rest as text."""
    try:
        return _answers.decode(body), ""
    except msgspec.DecodeError:
        pass
    try:
        loose = _objects.decode(body)
    except msgspec.DecodeError:
        return Answer(), body.decode("utf-8", "replace")
    listed = loose.get("output")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    answer = Answer(
        model=_name_in(loose, "model"),
        status=_name_in(loose, "status"),
        output=[_loose_item(item) for item in items],
        usage=_raw(loose.get("usage")),
        tool_usage=_raw(loose.get("tool_usage")),
        service_tier=_name_in(loose, "service_tier"),
        error=_raw(loose.get("error")),
    )
    return answer, msgspec.json.encode(listed).decode()


def _loose_item(item: dict[str, Any]) -> Item:
    action = item.get("action")
    did = Action(_name_in(action, "type")) if isinstance(action, dict) else None
    return Item(type=_name_in(item, "type"), action=did)


def _name_in(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _usage_of(raw: msgspec.Raw) -> dict[str, Any] | None:
    if not _is_given(raw):
        return None
    try:
        return _objects.decode(raw)
    except msgspec.DecodeError as error:
        raise UsageError(f"the usage is no object: {error}") from error


def _action_of(item: Item) -> str:
    return item.action.type if item.action else ""


def _item_of(raw: msgspec.Raw) -> Item:
    try:
        return _items.decode(raw)
    except msgspec.DecodeError:
        return Item()


def _text_of(raw: msgspec.Raw) -> str:
    try:
        return _texts.decode(raw)
    except msgspec.DecodeError:
        return bytes(raw).decode("utf-8", "replace")


def _is_given(raw: msgspec.Raw) -> bool:
    return raw is not _ABSENT and bytes(raw) != b"null"
