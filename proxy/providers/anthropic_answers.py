"""What Anthropic says back: whole messages and the events of a stream, read no further than usage and text need.

Sources: 352 recorded streams read to 2026-11. The prompt is told at the start, cumulative figures at the end, each of
which replaces the start's; pings and errors come in between; a stream that breaks off never told its output.
"""

from __future__ import annotations

from typing import Any

import msgspec

from metering.anthropic import (
    merge_reports,
    prompt_from_stream,
    usage_elsewhere,
    usage_from_anthropic,
    usage_from_stream,
)
from metering.errors import UsageError
from metering.rates import DEARER_TIERS, REGION_PERCENT
from proxy.errors import Unfinished
from proxy.providers.base import Report
from proxy.streaming import Events, begins_like_events, data_of

Usage = dict[str, Any]
TEXT_CHARS_MAX = 16_000_000
ABSENT = msgspec.Raw(b"null")
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class Block(msgspec.Struct):
    """A content block, whole or as a stream opens it."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT


class Delta(msgspec.Struct):
    """A stretch of a content block."""

    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class Message(msgspec.Struct):
    """A message, whole or as a stream opens it."""

    model: str | None = None
    content: list[Block] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class Summary(msgspec.Struct):
    """What of a whole message is needed when its usage is good."""

    model: str | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class Event(msgspec.Struct):
    """An event of a stream."""

    type: str = ""
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_summaries = msgspec.json.Decoder(Summary)
_messages = msgspec.json.Decoder(Message)
_events = msgspec.json.Decoder(Event)
_objects = msgspec.json.Decoder(dict[str, Any])


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

    def take_block(self, block: Block) -> None:
        """Keep what a block shows."""
        self.thought = self.thought or "thinking" in block.type
        self.take(block.text, block.thinking)
        if block.type in _CALLS:
            self.calls += 1
            given = bytes(block.input)
            self.take(block.name, "" if given in (b"null", b"{}") else given.decode("utf-8", "replace"))

    def put_into(self, report: Report) -> None:
        """Tell a report what was shown."""
        report.text = "".join(self.pieces)
        report.tool_calls = self.calls
        report.thought = self.thought


def read_answer(body: bytes) -> Report:
    """Read a whole message; its text only where the usage does not suffice."""
    try:
        summary: Summary | Message = _summaries.decode(body)
    except msgspec.ValidationError:
        return _read_loosely(body)
    except msgspec.DecodeError:
        return _read_misnamed(body) or Report(text=body.decode("utf-8", "replace"))
    report = Report(response_model=summary.model or "", error_inside=_is_given(summary.error))
    _take_usage(report, summary.usage, ABSENT)
    if report.usage is None or not report.usage.all_output_tokens:
        shown = Shown()
        try:
            for block in _messages.decode(body).content or ():
                shown.take_block(block)
        except msgspec.DecodeError:
            shown.take(body.decode("utf-8", "replace"))
        shown.put_into(report)
    return report


def _read_misnamed(body: bytes) -> Report | None:
    """Read a stream that came under another content type; None for what is none."""
    if not begins_like_events(body):
        return None
    tap = MessagesTap()
    try:
        tap.feed(body)
    except Unfinished:
        return None
    tap.finish()
    return tap.report()


def _read_loosely(body: bytes) -> Report:
    """Of a document with unexpected types, the usage and the error alone; the rest counts as text."""
    try:
        loose = _objects.decode(body)
    except msgspec.DecodeError:
        return Report(text=body.decode("utf-8", "replace"))
    report = Report(text=msgspec.json.encode(loose.get("content")).decode(), error_inside="error" in loose)
    _take_usage(report, msgspec.Raw(msgspec.json.encode(loose.get("usage"))), ABSENT)
    return report


class MessagesTap:
    """Listens to a stream of Messages; every event goes on as it came."""

    __slots__ = ("_delta", "_error_inside", "_events", "_model", "_shown", "_start")

    def __init__(self) -> None:
        self._events = Events()
        self._start = ABSENT
        self._delta = ABSENT
        self._model = ""
        self._shown = Shown()
        self._error_inside = False

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk from upstream, return what goes to the caller now."""
        # Whole events alone: half of one, and then our error, would be no event to anybody.
        events = self._events.feed(chunk)
        for event in events:
            self._see(event)
        return b"".join(events)

    def finish(self) -> bytes:
        """Return what is still kept back at the end of the stream."""
        rest = self._events.finish()
        if rest:
            self._see(rest)
        return rest

    def report(self) -> Report:
        """Tell what the stream said so far."""
        report = Report(response_model=self._model, error_inside=self._error_inside)
        self._shown.put_into(report)
        _take_usage(report, self._start, self._delta, is_stream=True)
        return report

    def _see(self, event: bytes) -> None:
        data = data_of(event)
        if not data:
            return
        try:
            read = _events.decode(data)
        except msgspec.DecodeError:
            self._see_loosely(data)
            return
        if read.delta is not None:
            self._shown.take(read.delta.text, read.delta.thinking, read.delta.partial_json)
            self._shown.thought = self._shown.thought or read.delta.thinking is not None
        if read.content_block is not None:
            self._shown.take_block(read.content_block)
        if read.message is not None and _is_given(read.message.usage):
            self._start = _copy(read.message.usage)
        if read.message is not None and read.message.model:
            self._model = read.message.model
        if _is_given(read.usage):
            self._delta = _merged(self._delta, read.usage)
        self._error_inside = self._error_inside or read.type == "error" or _is_given(read.error)

    def _see_loosely(self, data: bytes) -> None:
        """Of an event with unexpected types, the usage alone; of one that is no JSON, its length."""
        try:
            loose = _objects.decode(data)
        except msgspec.DecodeError:
            self._shown.take(data.decode("utf-8", "replace"))
            return
        message, usage = loose.get("message"), loose.get("usage")
        if isinstance(message, dict) and message.get("usage") is not None:
            self._start = msgspec.Raw(msgspec.json.encode(message["usage"]))
        if usage is not None:
            self._delta = _merged(self._delta, msgspec.Raw(msgspec.json.encode(usage)))
        self._shown.take(msgspec.json.encode([loose.get("content_block"), loose.get("delta")]).decode())


def _is_given(raw: msgspec.Raw) -> bool:
    return raw is not ABSENT and bytes(raw) != b"null"


def _copy(raw: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(bytes(raw))  # a view would keep the whole event alive


def _merged(earlier: msgspec.Raw, later: msgspec.Raw) -> msgspec.Raw:
    """Figures are cumulative: each of a later report replaces an earlier one's."""
    if not _is_given(earlier):
        return _copy(later)
    try:
        return msgspec.Raw(msgspec.json.encode(merge_reports(_decode(earlier), _decode(later))))
    except UsageError:
        return _copy(later)  # which is then found impossible


def _decode(raw: msgspec.Raw) -> Usage | None:
    if not _is_given(raw):
        return None
    try:
        return _objects.decode(raw)
    except msgspec.DecodeError as error:
        raise UsageError(f"the usage is no object: {error}") from error


def _take_usage(report: Report, start: msgspec.Raw, delta: msgspec.Raw, *, is_stream: bool = False) -> None:
    try:
        first, last = _decode(start), _decode(delta)
        merged = merge_reports(first, last)
        report.usage = usage_from_stream(first, last) if is_stream else usage_from_anthropic(merged)
        report.prompt = prompt_from_stream(first) if is_stream else None
        report.elsewhere = tuple(usage_elsewhere(merged))
    except UsageError as error:
        report.usage = None
        report.impossible = str(error)
        return
    report.service_tier = _tier_of(merged)


def _tier_of(usage: Usage) -> str:
    """The tier that was billed: Anthropic calls the dearer one its speed; its service tier is how capacity was bought.

    A region that costs more than the list price comes behind it.
    """
    speed, region = usage.get("speed"), usage.get("inference_geo")
    named = speed if isinstance(speed, str) else ""
    if not isinstance(region, str) or region not in REGION_PERCENT:
        return named
    return f"{named}-{region}" if named in DEARER_TIERS else region
