"""Where a push stands in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from billing.pushing.stamping import (
    Bucket,
    bucket_of,
    closed_before,
    free_stamp,
    free_stamp_now,
    is_late,
    make_identifier,
    minute_no,
)

TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
EDGE = TEN + timedelta(minutes=30, seconds=17)


def test_a_bucket_is_an_hour_cut_at_the_edges_of_periods() -> None:
    before = Bucket(TEN, EDGE)
    after = Bucket(EDGE, TEN + timedelta(hours=1))

    assert bucket_of(EDGE - SECOND, [EDGE]) == before
    assert bucket_of(EDGE, [EDGE]) == after
    assert bucket_of(EDGE + SECOND, [EDGE]) == after
    assert bucket_of(TEN, []) == Bucket(TEN, TEN + timedelta(hours=1))
    assert before.stamp == EDGE - SECOND


def test_an_edge_on_the_hour_belongs_to_the_next_bucket() -> None:
    assert bucket_of(TEN, [TEN]).start == TEN
    assert bucket_of(TEN - SECOND, [TEN]).end == TEN


def test_a_period_is_taken_for_final_an_hour_after_its_end() -> None:
    assert closed_before(EDGE + timedelta(minutes=59), [EDGE]) is None
    assert closed_before(EDGE + timedelta(minutes=60), [EDGE]) == EDGE
    assert closed_before(EDGE, [EDGE], EDGE - MINUTE) == EDGE - MINUTE


def test_what_is_too_old_or_final_is_late() -> None:
    now = TEN + timedelta(days=34)

    assert not is_late(TEN, now=now, closed=None)
    assert is_late(TEN - SECOND, now=now, closed=None)
    assert is_late(TEN, now=TEN, closed=TEN + SECOND)
    assert not is_late(TEN, now=TEN, closed=TEN)


def test_a_second_push_of_an_hour_takes_the_minute_before() -> None:
    bucket = Bucket(TEN, TEN + timedelta(hours=1))
    stamp = free_stamp(bucket, [])
    assert stamp == TEN + timedelta(minutes=59, seconds=59)

    assert free_stamp(bucket, [minute_no(stamp)]) == stamp - MINUTE
    assert free_stamp(Bucket(TEN, TEN + MINUTE), [minute_no(TEN)]) is None


def test_what_is_late_is_stamped_now_but_never_into_a_final_period() -> None:
    taken = [minute_no(TEN)]

    assert free_stamp_now(TEN, None, []) == TEN
    assert free_stamp_now(TEN, None, taken) == TEN - MINUTE
    assert free_stamp_now(TEN, TEN, taken) == TEN + MINUTE
    assert free_stamp_now(TEN, TEN, [minute_no(TEN) + ahead for ahead in range(5)]) is None


def test_an_identifier_is_the_same_for_the_same_and_another_for_another() -> None:
    names = ("ten_a", "sco_a", "smt_a", "cus_a")
    first = make_identifier(*names, bucket_start=TEN, seq=0)

    assert first == make_identifier(*names, bucket_start=TEN, seq=0)
    assert (
        len(
            {
                first,
                make_identifier(*names, bucket_start=TEN, seq=1),
                make_identifier("ten_b", *names[1:], bucket_start=TEN, seq=0),
            }
        )
        == 3
    )
    assert first.startswith("um1-")
    assert len(first) == 44
