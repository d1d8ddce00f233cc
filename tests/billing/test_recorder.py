"""The recorder on real servers: every event once, whatever is repeated, killed or poisoned."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread

import pytest
import redis
from django.db import connections

from billing.errors import LedgerAway
from billing.ledger.overload import Watermarks
from billing.ledger.queries import differences
from billing.ledger.recorder import Recorder
from billing.ledger.trimming import trim_streams
from enforcement.keys import shard_key, usage_key
from metering.ids import shard_of
from tests.billing.conftest import ACME, GLOBEX, Streams, body_of, sql
from tests.plugin import POSTGRES

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_an_event_becomes_a_row_with_all_it_tells(recorder: Recorder, streams: Streams) -> None:
    event_id = streams.append()

    recorder.drain()

    [row] = sql(
        "SELECT kind, basis, customer_id, model, started_at::text, cost_nanousd, charge_nanousd, input_tokens, "
        'output_tokens, quote_cost_nanousd, draws, upstream_status, "end" FROM ledger_row WHERE event_id = %s',
        event_id,
    )
    assert row == (
        "settled", "reported", "cus_1", "gpt-4o-mini", "2026-11-18 11:06:40+00", 1_000, 1_100, 90, 12, 9_000,
        '[["bud_c", "month-1793491200", "charge"], ["bud_t", "day-1794960000", "cost"]]', 200, "complete",
    )  # fmt: skip
    assert sql(
        "SELECT budget_id, window_id, measure, spent_nanousd, row_count FROM budget_window ORDER BY 1"
    ) == [
        ("bud_c", "month-1793491200", "charge", 1_100, 1),
        ("bud_t", "day-1794960000", "cost", 1_000, 1),
    ]


def wait_until(is_so: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def row_count() -> int:
    return sql("SELECT count(*) FROM ledger_row")[0][0]


def assert_books_agree() -> None:
    assert differences() == []


def test_a_stream_that_is_read_again_counts_once(recorder: Recorder, streams: Streams) -> None:
    for _ in range(50):
        streams.append()
    recorder.drain()
    sql("DELETE FROM shard_mark", alias="owner")  # PostgreSQL has forgotten how far it was
    recorder.close()

    recorder.drain()

    assert row_count() == 50
    assert recorder.figures.entries == 100
    assert recorder.figures.rows == 50
    assert_books_agree()


def test_the_same_event_twice_in_one_batch_counts_once(recorder: Recorder, streams: Streams) -> None:
    hold_id = streams.hold_id()
    streams.append(hold_id=hold_id)
    streams.append(hold_id=hold_id)  # as a replay after a rebuild appends it

    recorder.drain()

    assert row_count() == 1
    assert sql("SELECT sum(spent_nanousd) FROM budget_window WHERE budget_id = 'bud_c'") == [(1_100,)]
    assert_books_agree()


def test_a_crash_between_commit_and_mark_is_made_good_at_the_next_start(
    make_recorder: Callable[..., Recorder], streams: Streams, redis_client: redis.Redis
) -> None:
    streams.append()
    first = make_recorder()
    first._feed.mark_recorded = lambda marks: None  # type: ignore[method-assign]
    first.drain()
    assert redis_client.hget(shard_key(shard_of(ACME)), "recorded") is None
    first.close()

    second = make_recorder()
    second.drain()

    assert redis_client.hget(shard_key(shard_of(ACME)), "recorded") == b"1"
    assert (second.figures.rows, row_count()) == (0, 1)


def test_the_mark_never_goes_back_and_never_to_another_epoch(
    recorder: Recorder, streams: Streams, redis_client: redis.Redis
) -> None:
    shard = shard_of(ACME)
    streams.append()
    recorder.drain()
    recorder._feed.mark_recorded({shard: (1, 0)})
    recorder._feed.mark_recorded({shard: (2, 9)})

    assert redis_client.hget(shard_key(shard), "recorded") == b"1"


def test_a_shard_has_one_recorder_at_a_time(make_recorder: Callable[..., Recorder], streams: Streams) -> None:
    first, second = make_recorder(shards=range(128)), make_recorder()
    first.step()
    second.step()

    assert set(first.marks) == set(range(128))
    assert set(second.marks) == set(range(128, 256))

    first.close()

    def holds_all() -> bool:  # the server notices a closed connection a moment later
        second._lock_due = 0.0
        second.step()
        return set(second.marks) == set(range(256))

    wait_until(holds_all)


def test_two_recorders_at_work_book_everything_once(
    make_recorder: Callable[..., Recorder], streams: Streams
) -> None:
    for number in range(400):
        streams.append(ACME if number % 2 else GLOBEX)
    recorders = [make_recorder(), make_recorder()]
    stop = Event()
    threads = [Thread(target=recorder.run, args=(stop,)) for recorder in recorders]
    for thread in threads:
        thread.start()
    wait_until(lambda: row_count() == 400)
    stop.set()
    for thread in threads:
        thread.join()

    assert sum(recorder.figures.rows for recorder in recorders) == 400
    assert_books_agree()


def test_one_transaction_books_several_shards(recorder: Recorder, streams: Streams) -> None:
    streams.append(ACME)
    streams.append(GLOBEX)

    recorder.drain()

    assert recorder.figures.transactions == 1
    assert sql("SELECT tenant_id, shard FROM ledger_row ORDER BY 1") == [
        (ACME, shard_of(ACME)),
        (GLOBEX, shard_of(GLOBEX)),
    ]


def test_a_connection_cut_in_the_middle_of_a_batch_loses_nothing(
    recorder: Recorder, streams: Streams
) -> None:
    for _ in range(20):
        streams.append()
    recorder.step()
    streams.append()
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'farebox-recorder'",
        alias="recorder",
    )

    with pytest.raises(LedgerAway):
        recorder.step()
    recorder._after_failure(LedgerAway("as run does"))
    recorder.drain()

    assert row_count() == 21
    assert_books_agree()


@pytest.mark.chaos
def test_a_restarted_postgresql_is_waited_for(recorder: Recorder, streams: Streams) -> None:
    for _ in range(30):
        streams.append()
    stop = Event()
    thread = Thread(target=recorder.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: row_count() == 30)
        connections.close_all()
        POSTGRES.stop()
        for _ in range(30):
            streams.append()
        wait_until(lambda: recorder.figures.failures > 0)
        POSTGRES.start()
        wait_until(lambda: row_count() == 60)
    finally:
        stop.set()
        thread.join()

    assert_books_agree()


def test_a_replaced_stream_is_read_from_its_beginning(
    recorder: Recorder, streams: Streams, redis_client: redis.Redis
) -> None:
    key = usage_key(shard_of(ACME))
    streams.append()
    recorder.drain()
    # given: another life of the shard, on a server whose clock is behind
    redis_client.delete(key)
    streams.epoch = 2
    streams.open()
    streams.append()
    [(_, fields)] = redis_client.xrange(key)
    redis_client.delete(key)
    redis_client.xadd(key, fields, id="1-1")

    recorder.look_around()
    recorder.drain()

    assert row_count() == 2
    mark = sql("SELECT epoch, stream_id FROM shard_mark WHERE shard = %s", shard_of(ACME))
    assert mark == [(2, "1-1")]


def test_a_restored_stream_that_still_has_the_mark_is_read_on(
    recorder: Recorder, streams: Streams, redis_client: redis.Redis
) -> None:
    for _ in range(5):
        streams.append()
    recorder.drain()
    streams.epoch = 2
    streams.open()
    streams.append()

    recorder.look_around()
    recorder.drain()

    assert (recorder.figures.entries, row_count()) == (6, 6)


def test_corrections_net_out_in_every_sum(recorder: Recorder, streams: Streams) -> None:
    hold_id = streams.hold_id()
    expired = streams.append(hold_id=hold_id, kind="expired", basis="unresolved", cost=9_000, charge=9_900)
    streams.append(hold_id=hold_id, kind="correction", corrects=expired, cost=-8_000, charge=-8_800)
    gone = streams.append(
        kind="expired", basis="unresolved", cost=9_000, charge=9_900, body=body_of(request_id="req_2")
    )
    streams.append(
        hold_id=gone[:26], kind="correction", corrects=gone, basis="none", cost=-9_000, charge=-9_900
    )

    recorder.drain()

    assert sql("SELECT sum(cost_nanousd), sum(charge_nanousd) FROM ledger_row") == [(1_000, 1_100)]
    assert sql("SELECT sum(cost_nanousd), sum(charge_nanousd) FROM usage_rollup") == [(1_000, 1_100)]
    assert sql("SELECT budget_id, spent_nanousd FROM budget_window ORDER BY 1") == [
        ("bud_c", 1_100),
        ("bud_t", 1_000),
    ]
    assert_books_agree()


def test_an_event_stands_in_the_month_its_hold_was_born(recorder: Recorder, streams: Streams) -> None:
    last_ms = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp() * 1000) - 1
    for born_ms in (last_ms, last_ms + 1):
        streams.append(hold_id=streams.hold_id(born_ms), body=body_of(started_ms=born_ms))

    recorder.drain()

    assert sql("SELECT tableoid::regclass::text, month::text FROM ledger_row ORDER BY 1") == [
        ("ledger_row_202608", "2026-08-01"),
        ("ledger_row_202609", "2026-09-01"),
    ]


def test_one_tenant_cannot_add_to_another_ones_budget(recorder: Recorder, streams: Streams) -> None:
    streams.append(ACME)
    streams.append(GLOBEX)

    recorder.drain()

    assert sql("SELECT tenant_id, spent_nanousd FROM budget_window WHERE budget_id = 'bud_c' ORDER BY 1") == [
        (ACME, 1_100),
        (GLOBEX, 1_100),
    ]


def test_overload_stops_admission_and_ends_by_itself(
    make_recorder: Callable[..., Recorder], streams: Streams, redis_client: redis.Redis
) -> None:
    shard = shard_of(ACME)
    recorder = make_recorder(watermarks=Watermarks(backlog_entries_max=10))
    for _ in range(10):
        streams.append()

    recorder.look_around()
    assert redis_client.hget(shard_key(shard), "overloaded") == b"recorder_lag"

    recorder.drain()
    recorder.look_around()
    assert redis_client.hget(shard_key(shard), "overloaded") is None


def test_streams_are_trimmed_below_the_mark_and_past_the_safety_span_only(
    recorder: Recorder, streams: Streams, redis_client: redis.Redis
) -> None:
    key = usage_key(shard_of(ACME))
    streams.append()
    [(_, fields)] = redis_client.xrange(key)
    redis_client.delete(key)
    redis_client.xadd(key, fields, id="1000-0")  # hours old
    redis_client.xadd(key, fields, id="2000-0")
    streams.append()
    assert trim_streams(recorder._feed) == 0  # nothing is recorded yet

    recorder.drain()
    assert trim_streams(recorder._feed) == 2
    assert redis_client.xlen(key) == 1
