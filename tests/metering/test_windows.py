from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metering import windows
from metering.errors import WindowError
from metering.windows import NEVER_MS, Window, WindowKind, WindowSpec, window_after, window_at

ZONES = sorted(available_timezones() - {"localtime"})
KINDS: tuple[WindowKind, ...] = ("day", "week", "month", "anniversary")


def ms(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int((moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def local(at_ms: int, zone: str) -> str:
    return datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


specs = st.builds(
    WindowSpec, kind=st.sampled_from(KINDS), zone=st.sampled_from(ZONES), anchor_day=st.integers(1, 31)
)


@given(spec=specs, at_ms=st.integers(ms("1975-01-01"), ms("2040-01-01")))
@example(spec=WindowSpec("day", "Pacific/Apia"), at_ms=ms("2011-12-30T10:00"))
@example(spec=WindowSpec("day", "America/St_Johns"), at_ms=ms("2010-11-07T02:45"))
@example(spec=WindowSpec("day", "Africa/Cairo"), at_ms=ms("2023-04-27T22:00"))
@example(spec=WindowSpec("day", "America/Toronto"), at_ms=ms("1919-03-31T05:00"))
def test_windows_tile_time_without_gap_or_overlap(spec: WindowSpec, at_ms: int) -> None:
    window = window_at(spec, at_ms)
    assert window.start_ms <= at_ms < window.end_ms
    following = window_after(spec, window)
    assert following.start_ms == window.end_ms < following.end_ms
    # Whoever asks from inside gets the same window; from its very edges too.
    assert window_at(spec, window.start_ms) == window_at(spec, window.end_ms - 1) == window
    assert window_at(spec, window.end_ms) == following
    assert window_at(spec, window.start_ms - 1).end_ms == window.start_ms


@given(spec=specs, at_ms=st.integers(ms("1975-01-01"), ms("2040-01-01")))
def test_a_window_begins_as_its_first_date_does_in_its_zone(spec: WindowSpec, at_ms: int) -> None:
    window = window_at(spec, at_ms)
    shown = datetime.fromtimestamp(window.start_ms // 1000, ZoneInfo(spec.zone)).replace(tzinfo=None)
    before = datetime.fromtimestamp(window.start_ms // 1000 - 1, ZoneInfo(spec.zone)).replace(tzinfo=None)
    assert before.date() < shown.date()


@pytest.mark.parametrize(
    ("spec", "at", "start", "end"),
    [
        (WindowSpec("day"), "2026-11-21T12:00", "2026-11-21T00:00", "2026-11-22T00:00"),
        (WindowSpec("week"), "2026-11-22T23:59", "2026-11-16T00:00", "2026-11-23T00:00"),
        (WindowSpec("week"), "2026-11-23T00:00", "2026-11-23T00:00", "2026-11-30T00:00"),
        (WindowSpec("month"), "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        (WindowSpec("anniversary", "UTC", 31), "2027-02-15T00:00", "2027-01-31T00:00", "2027-02-28T00:00"),
        (WindowSpec("anniversary", "UTC", 31), "2028-02-29T00:00", "2028-02-29T00:00", "2028-03-31T00:00"),
        (WindowSpec("anniversary", "UTC", 15), "2027-01-14T23:59", "2026-12-15T00:00", "2027-01-15T00:00"),
        (WindowSpec("anniversary", "UTC", 15), "2027-01-15T00:00", "2027-01-15T00:00", "2027-02-15T00:00"),
    ],
)
def test_calendars_are_cut_where_people_expect(spec: WindowSpec, at: str, start: str, end: str) -> None:
    window = window_at(spec, ms(at))
    assert (window.start_ms, window.end_ms) == (ms(start), ms(end))


def test_a_zone_moves_the_edge_and_daylight_saving_the_length() -> None:
    spring = window_at(WindowSpec("day", "Europe/Berlin"), ms("2026-03-29T12:00"))
    autumn = window_at(WindowSpec("day", "Europe/Berlin"), ms("2026-10-25T12:00"))
    assert spring.start_ms == ms("2026-03-28T23:00")
    assert spring.end_ms - spring.start_ms == 23 * 3_600_000
    assert autumn.end_ms - autumn.start_ms == 25 * 3_600_000


def test_a_skipped_midnight_starts_the_day_when_the_clocks_jump() -> None:
    window = window_at(WindowSpec("day", "Africa/Cairo"), ms("2023-04-28T12:00"))
    assert local(window.start_ms, "Africa/Cairo") == "2023-04-28 01:00:00"
    # Clocks jumped from 23:30 to 00:30: the new day starts with the jump, not half an hour into it.
    toronto = window_at(WindowSpec("day", "America/Toronto"), ms("1919-03-31T12:00"))
    assert local(toronto.start_ms, "America/Toronto") == "1919-03-31 00:30:00"


def test_a_midnight_that_comes_twice_starts_the_day_the_first_time() -> None:
    spec = WindowSpec("day", "America/St_Johns")
    first = ms("2010-11-07T00:00", "America/St_Johns")
    window = window_at(spec, ms("2010-11-07T12:00"))
    assert window.start_ms == first
    # Between the two midnights clocks show the day before; the window has begun all the same, remembered or not.
    windows._spans.clear()
    shown_again = ms("2010-11-06T23:30", "America/St_Johns", fold=1)
    assert window_at(spec, shown_again) == window


def test_a_day_that_a_zone_left_out_has_no_window() -> None:
    spec = WindowSpec("day", "Pacific/Apia")
    before = window_at(spec, ms("2011-12-29T12:00", "Pacific/Apia"))
    assert local(window_after(spec, before).start_ms, "Pacific/Apia") == "2011-12-31 00:00:00"


def test_an_id_is_the_kind_and_the_first_second() -> None:
    assert window_at(WindowSpec("month"), ms("2026-11-21T05:00")).window_id == "m1793491200"
    assert window_at(WindowSpec("day"), ms("2026-11-21T05:00")).window_id == "d1795219200"


def test_total_never_ends_and_follows_itself() -> None:
    spec = WindowSpec("total", "Not/AZone")
    window = window_at(spec, ms("2026-11-21T05:00"))
    assert window == Window("t0", 0, NEVER_MS)
    assert window_after(spec, window) == window
    windows._spans.clear()
    assert window_after(spec, window) == window


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (WindowSpec("day", "Mars/Olympus"), "Mars/Olympus"),
        (WindowSpec("day", "../etc/passwd"), "etc/passwd"),
        (WindowSpec("day", "America"), "America"),
        (WindowSpec("anniversary", "UTC", 0), "0"),
        (WindowSpec("anniversary", "UTC", 32), "32"),
    ],
)
def test_a_window_that_cannot_be_worked_out_is_an_error(spec: WindowSpec, names: str) -> None:
    with pytest.raises(WindowError, match=names):
        window_at(spec, 0)


def test_an_instant_beyond_all_calendars_is_an_error() -> None:
    with pytest.raises(WindowError, match="outside the years"):
        window_at(WindowSpec("day"), NEVER_MS)


def test_the_memory_of_windows_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_SPANS_MAX", 2)
    at_ms = ms("2026-11-21T05:00")
    days = [WindowSpec("anniversary", "UTC", day) for day in (1, 2, 3, 4)]
    found = [window_at(spec, at_ms) for spec in days]
    assert len(windows._spans) <= 2
    assert [window_at(spec, at_ms) for spec in days] == found
    # An equal window that came from elsewhere (a policy, another process) is followed by the same.
    last = days[-1]
    copy = Window(found[-1].window_id, found[-1].start_ms, found[-1].end_ms)
    assert window_after(last, copy) == window_after(last, found[-1])
