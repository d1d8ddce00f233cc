"""Budget windows in any IANA zone: which one an instant falls in, and which one follows.

A window's id carries its kind and first second, so that it is the same on every machine without a look-up.

A boundary is the first instant at which the zone's clocks show the local date or a later one: where midnight is
skipped that is the moment the clocks jump, where it comes twice it is the first time. So windows tile time, even
across a whole day that a zone left out.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from metering.errors import WindowError

WindowKind = Literal["day", "week", "month", "anniversary", "total"]

# The end of a window that never ends: far enough, and exact as a Lua double.
NEVER_MS = 2**53 - 1

ANCHOR_DAY_MAX = 31
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPANS_MAX = 8192


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How a budget's time is cut: a kind, an IANA zone and, for an anniversary month, its day (1 to 31)."""

    kind: WindowKind
    zone: str = "UTC"
    anchor_day: int = 1


@dataclass(frozen=True, slots=True)
class Window:
    """One span: ``start_ms`` inclusive, ``end_ms`` exclusive, milliseconds since the epoch."""

    window_id: str
    start_ms: int
    end_ms: int


_TOTAL = Window("t0", 0, NEVER_MS)

# The window last asked for and its successor, per spec. Only a memory of a pure function: whatever stands here is
# right for its span for ever, so it needs no lock and may be dropped at any time.
_spans: dict[WindowSpec, tuple[Window, Window]] = {}


def window_at(spec: WindowSpec, at_ms: int) -> Window:
    """Return the window an instant falls in.

    Raises: WindowError for an unknown zone or an anchor day outside 1 to 31.
    """
    span = _spans.get(spec)
    if span is not None and span[0].start_ms <= at_ms < span[0].end_ms:
        return span[0]
    return _remember(spec, _window_at(spec, at_ms))


def window_after(spec: WindowSpec, window: Window) -> Window:
    """Return the window that starts where this one ends; ``total`` is followed by itself."""
    span = _spans.get(spec)
    if span is not None and (span[0] is window or span[0] == window):
        return span[1]
    return _following(spec, window)


def _remember(spec: WindowSpec, window: Window) -> Window:
    if len(_spans) >= _SPANS_MAX:
        _spans.clear()
    _spans[spec] = (window, _following(spec, window))
    return window


def _following(spec: WindowSpec, window: Window) -> Window:
    return window if spec.kind == "total" else _window_at(spec, window.end_ms)


def _window_at(spec: WindowSpec, at_ms: int) -> Window:
    if spec.kind == "total":
        return _TOTAL
    zone = _zone(spec.zone)
    if spec.kind == "anniversary" and not 1 <= spec.anchor_day <= ANCHOR_DAY_MAX:
        raise WindowError(f"an anniversary falls on a day from 1 to {ANCHOR_DAY_MAX}, not {spec.anchor_day}")
    try:
        return _cut(spec, zone, at_ms)
    except (OverflowError, ValueError) as error:
        raise WindowError(f"{at_ms} ms lies outside the years that calendars cover") from error


def _cut(spec: WindowSpec, zone: ZoneInfo, at_ms: int) -> Window:
    local = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).date()
    first = _first_date(spec, local)
    # Clocks that go back over midnight show yesterday's date inside today's window.
    following = _next_date(spec, first)
    while at_ms >= _boundary_ms(zone, following):
        first, following = following, _next_date(spec, following)
    start_ms = _boundary_ms(zone, first)
    return Window(f"{spec.kind[0]}{start_ms // 1000}", start_ms, _boundary_ms(zone, following))


def _first_date(spec: WindowSpec, day: date) -> date:
    """The local date on which the window that holds a local date begins."""
    if spec.kind == "day":
        return day
    if spec.kind == "week":
        return day - timedelta(days=day.weekday())
    if spec.kind == "month":
        return day.replace(day=1)
    here = _anchored(day.year, day.month, spec.anchor_day)
    if here <= day:
        return here
    before = day.replace(day=1) - timedelta(days=1)
    return _anchored(before.year, before.month, spec.anchor_day)


def _next_date(spec: WindowSpec, first: date) -> date:
    if spec.kind == "day":
        return first + timedelta(days=1)
    if spec.kind == "week":
        return first + timedelta(days=7)
    after = first.replace(day=28) + timedelta(days=4)
    return _anchored(after.year, after.month, spec.anchor_day if spec.kind == "anniversary" else 1)


def _anchored(year: int, month: int, anchor_day: int) -> date:
    return date(year, month, min(anchor_day, monthrange(year, month)[1]))


def _boundary_ms(zone: ZoneInfo, day: date) -> int:
    """The first instant at which clocks show midnight of a day, or what they jump to over it."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    at_s = _seconds(midnight)
    if _shown_s(zone, at_s) == _wall_s(midnight):
        return at_s * 1000
    # Midnight is skipped. Read with the offset from after the jump it lies before the jump: search between the two.
    low_s, high_s = _seconds(midnight.replace(fold=1)), at_s
    while low_s < high_s:
        middle_s = (low_s + high_s) // 2
        if _shown_s(zone, middle_s) >= _wall_s(midnight):
            high_s = middle_s
        else:
            low_s = middle_s + 1
    return low_s * 1000


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _wall_s(moment: datetime) -> int:
    return _seconds(moment.replace(tzinfo=UTC, fold=0))


def _shown_s(zone: ZoneInfo, at_s: int) -> int:
    return _wall_s((_EPOCH + timedelta(seconds=at_s)).astimezone(zone))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise WindowError(f"{name!r} is no IANA time zone, such as UTC or Europe/Berlin") from error
