"""How old the base price book is, by what it knows."""

from __future__ import annotations

from datetime import date, timedelta

from metering.price_book import latest_change


def test_the_book_s_age_is_that_of_its_newest_change_in_force() -> None:
    newest = latest_change(date(2026, 11, 21))
    assert newest is not None
    assert date(2026, 10, 1) < newest <= date(2026, 11, 21)
    assert latest_change(newest) == newest
    before = latest_change(newest - timedelta(days=1))
    assert before is not None
    assert before < newest


def test_before_every_change_nothing_is_known() -> None:
    assert latest_change(date(2000, 1, 1)) is None
