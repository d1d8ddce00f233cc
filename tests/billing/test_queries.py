"""What a rebuild and the checks ask of the books."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import redis

from billing.ledger.drift import RecorderTooSlow, check_drift
from billing.ledger.feed import Feed
from billing.ledger.lag import read_lag
from billing.ledger.partitions import ensure_months
from billing.ledger.queries import (
    Position,
    Span,
    WindowSum,
    differences,
    ended_holds,
    highest_epoch,
    hold_ids_with_rows,
    holds_expired_since,
    is_ledger_empty,
    marks,
    rows_sum_upto,
    shards_left_behind,
    sums_by_budget_window,
)
from billing.ledger.recorder import Recorder
from billing.models import DriftReport
from enforcement.control import Control
from enforcement.keys import Scope, shard_key
from metering.ids import SHARDS, shard_of
from tests.billing.conftest import ACME, GLOBEX, STARTED_MS, Streams, body_of, sql

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

SCOPE = Scope(ACME, "test")
SHARD = shard_of(ACME)


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    """A control client of an emptied Redis."""
    control = Control(redis_url)
    yield control
    control.close()


def test_sums_come_by_tenant_and_by_shard(recorder: Recorder, streams: Streams) -> None:
    streams.append(ACME)
    streams.append(ACME)
    streams.append(GLOBEX)
    recorder.drain()

    expected = [
        WindowSum(SCOPE, "bud_c", "month-1793491200", 2_200),
        WindowSum(SCOPE, "bud_t", "day-1794960000", 2_000),
    ]
    assert sums_by_budget_window(scope=SCOPE) == expected
    assert sums_by_budget_window(shard=SHARD) == expected


def test_holds_with_rows_are_found_in_any_month(recorder: Recorder, streams: Streams) -> None:
    old = streams.hold_id(STARTED_MS - 40 * 86_400_000)
    new, unknown = streams.hold_id(), streams.hold_id()
    streams.append(hold_id=old)
    streams.append(hold_id=new)
    recorder.drain()

    assert hold_ids_with_rows([old, new, unknown]) == {old, new}
    assert hold_ids_with_rows([]) == set()


def test_ended_holds_tell_how_and_at_what_they_ended(recorder: Recorder, streams: Streams) -> None:
    expired, settled_late, released_late = (streams.hold_id() for _ in range(3))
    for hold_id in (expired, settled_late, released_late):
        streams.append(hold_id=hold_id, kind="expired", basis="unresolved", cost=9, charge=9)
    streams.append(hold_id=settled_late, kind="correction", basis="reported", cost=-5, charge=-5)
    streams.append(hold_id=released_late, kind="correction", basis="none", cost=-9, charge=-9)
    recorder.drain()

    found = {
        hold.hold_id: hold for hold in ended_holds([expired, settled_late, released_late, streams.hold_id()])
    }

    assert {
        hold_id: (hold.state, hold.cost_nanousd, hold.corrections) for hold_id, hold in found.items()
    } == {
        expired: ("expired", 9, 0),
        settled_late: ("settled", 4, 1),
        released_late: ("released", 0, 1),
    }
    assert found[expired].scope == SCOPE
    assert [draw.budget_id for draw in found[expired].draws] == ["bud_c", "bud_t"]
    lately = holds_expired_since([SHARD], datetime.now(UTC) - timedelta(hours=1))
    assert {hold.hold_id for hold in lately} == set(found)
    assert holds_expired_since([SHARD + 1], datetime.now(UTC) - timedelta(hours=1)) == []


def test_marks_know_an_epoch_from_when_the_recorder_saw_it(recorder: Recorder, streams: Streams) -> None:
    assert is_ledger_empty()
    assert (highest_epoch(SHARD), marks([SHARD])) == (0, {})
    streams.append()
    recorder.drain()
    assert not is_ledger_empty()
    assert (marks([SHARD])[SHARD].epoch, marks([SHARD])[SHARD].seq) == (1, 1)
    assert shards_left_behind({SHARD: 1}) == set()
    assert shards_left_behind({SHARD: 2}) == {SHARD}

    streams.epoch = 2
    streams.open()
    recorder.look_around()

    assert shards_left_behind({SHARD: 2}) == set()
    assert highest_epoch(SHARD) == 2
    mark = marks([SHARD])[SHARD]
    assert (mark.epoch, mark.seq) == (2, 0)
    assert mark.stream_id != "0-0"


def test_rows_are_summed_up_to_a_position(recorder: Recorder, streams: Streams) -> None:
    for _ in range(3):
        streams.append()
    streams.append(body=body_of(customer_id="cus_2"))
    streams.append(body=body_of(started_ms=STARTED_MS - 60_000))
    recorder.drain()
    span = Span(scope=SCOPE, measure="cost", start_ms=STARTED_MS, end_ms=STARTED_MS + 1)

    assert rows_sum_upto(span, Position(1, 2)) == 2_000
    assert rows_sum_upto(span, Position(1, 99)) == 4_000
    assert rows_sum_upto(span, Position(2, 0)) == 4_000
    of_one = Span(scope=SCOPE, measure="charge", start_ms=0, end_ms=STARTED_MS + 1, customer_id="cus_1")
    assert rows_sum_upto(of_one, Position(1, 99)) == 4_400


def test_books_that_disagree_are_found(recorder: Recorder, streams: Streams) -> None:
    streams.append()
    recorder.drain()
    assert differences() == []

    sql(
        "UPDATE budget_window SET spent_nanousd = spent_nanousd + 1 WHERE budget_id = 'bud_c'",
        alias="recorder",
    )
    sql("UPDATE usage_rollup SET cost_nanousd = 0", alias="recorder")

    assert {(row[0], row[1]) for row in differences()} == {
        (table, side)
        for table in ("budget_window", "usage_rollup")
        for side in ("kept but not booked", "booked but not kept")
    }


def spend(redis_client: redis.Redis, budget_id: str, window_id: str, spent_nanousd: int) -> None:
    key = SCOPE.budget(budget_id)
    redis_client.hset(key, f"s:{window_id}", spent_nanousd)
    redis_client.hset(key, f"h:{window_id}", 0)
    redis_client.hset(key, f"b:{window_id}", 0)
    redis_client.hset(key, f"e:{window_id}", 2**52)


def test_drift_is_reported_to_the_nano_dollar_and_not_mended(
    recorder: Recorder, streams: Streams, redis_client: redis.Redis, control: Control
) -> None:
    control.load_new_budget(SCOPE, budget_id="bud_c", limit_nanousd=10**9, version=1)
    spend(redis_client, "bud_c", "month-1793491200", 1_100)
    streams.append()
    recorder.drain()
    feed = Feed(control.client)
    assert check_drift(control, feed, scope=SCOPE, budget_ids=["bud_c", "bud_unknown"]) == []

    spend(redis_client, "bud_c", "month-1793491200", 1_099)
    [report] = check_drift(control, feed, scope=SCOPE, budget_ids=["bud_c"])

    assert report.drift_nanousd == -1
    assert DriftReport.objects.count() == 1
    assert redis_client.hget(SCOPE.budget("bud_c"), "s:month-1793491200") == b"1099"


def test_what_is_booked_beyond_the_position_read_is_no_drift(
    recorder: Recorder,
    streams: Streams,
    redis_client: redis.Redis,
    control: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control.load_new_budget(SCOPE, budget_id="bud_c", limit_nanousd=10**9, version=1)
    spend(redis_client, "bud_c", "month-1793491200", 1_100)
    streams.append()
    feed = Feed(control.client)
    read = control.read_budgets

    def read_then_traffic(scope: Scope, budget_ids: list[str]) -> object:
        balances = read(scope, budget_ids)
        streams.append()
        recorder.drain()
        return balances

    monkeypatch.setattr(control, "read_budgets", read_then_traffic)

    assert check_drift(control, feed, scope=SCOPE, budget_ids=["bud_c"]) == []
    assert sql("SELECT spent_nanousd FROM budget_window WHERE budget_id = 'bud_c'") == [(2_200,)]


def test_drift_says_nothing_while_the_recorder_is_away(
    streams: Streams, redis_client: redis.Redis, control: Control
) -> None:
    control.load_new_budget(SCOPE, budget_id="bud_c", limit_nanousd=10**9, version=1)
    streams.append()

    with pytest.raises(RecorderTooSlow):
        check_drift(
            control, Feed(control.client), scope=SCOPE, budget_ids=["bud_c"], wait=lambda seconds: None
        )


def test_lag_is_the_age_of_the_oldest_event_not_booked(
    recorder: Recorder, streams: Streams, control: Control, redis_client: redis.Redis
) -> None:
    feed = Feed(control.client)
    streams.append()
    streams.append(body=b"{")

    before = read_lag(feed, range(SHARDS))
    recorder.drain()
    after = read_lag(feed, range(SHARDS))

    assert (before.backlog_entries, before.shards_behind) == (2, 1)
    assert 0 <= before.oldest_ms < 60_000
    assert (after.backlog_entries, after.shards_behind, after.oldest_ms) == (0, 0, 0)
    assert (after.dead_letters, after.dead_letters_last_day) == (1, 1)
    assert redis_client.hexists(shard_key(SHARD), "overloaded") is False


def test_months_are_made_ahead_over_the_years_end() -> None:
    sql("DROP TABLE IF EXISTS ledger_row_202412, ledger_row_202501, ledger_row_202502", alias="owner")

    assert ensure_months(date(2024, 12, 31)) == [date(2024, 12, 1), date(2025, 1, 1), date(2025, 2, 1)]
    assert ensure_months(date(2024, 12, 31)) == []
