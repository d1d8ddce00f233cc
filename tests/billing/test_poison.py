"""Entries nobody can book as they stand: kept with their bytes, never in the way of the others."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from billing.ledger.queries import differences
from billing.ledger.recorder import Recorder, unpack_entry
from tests.billing.conftest import ACME, Streams, body_of, sql

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def letters() -> list[tuple[Any, ...]]:
    return sql("SELECT reason, event_id FROM dead_letter ORDER BY dead_letter_id")


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no_json": b"{",
    "no_utf8": body_of().replace(b"gpt-4o-mini", b"\xff\xfe"),
    "a_number_too_large": body_of(usage={"input": 10**30}),
    "a_negative_count": body_of(usage={"input": -1}),
    "a_name_too_long": body_of(model="m" * 5_000),
    "an_instant_in_no_year": body_of(started_ms=2**60),
    "a_lone_surrogate": body_of().replace(b"gpt-4o-mini", b"gpt\\ud800"),
    "a_wrong_type": body_of().replace(b'"attempt":1', b'"attempt":"one"'),
}


def test_bodies_nobody_can_read_still_book_their_amount(recorder: Recorder, streams: Streams) -> None:
    poisoned = {}
    for body in BODIES.values():
        streams.append()
        poisoned[streams.append(body=body)] = body
    streams.append()

    recorder.drain()

    booked = sql("SELECT event_id, cost_nanousd, model, request_id FROM ledger_row WHERE model = ''")
    assert {row[0]: row[1:] for row in booked} == {id_: (1_000, "", id_[:26]) for id_ in poisoned}
    assert sql("SELECT count(*) FROM ledger_row") == [(2 * len(BODIES) + 1,)]
    kept = sql("SELECT event_id, raw FROM dead_letter")
    assert {event_id: unpack_entry(bytes(raw))[b"body"] for event_id, raw in kept} == poisoned
    assert differences() == []


def test_a_nul_in_a_text_costs_no_more_than_the_nul(recorder: Recorder, streams: Streams) -> None:
    poisoned = streams.append(body=body_of(model="gpt\0-4o", tags={"feature": "a\0b"}))

    recorder.drain()

    assert sql("SELECT model FROM ledger_row") == [("gpt-4o",)]
    assert letters() == [("nul_in_body", poisoned)]


def test_what_only_looks_like_a_nul_costs_nothing(recorder: Recorder, streams: Streams) -> None:
    """A caller writes the header these come from: it must not be able to take its customer off the row."""
    streams.append(body=body_of(run_id="\\u0000", tags={"feature": "\\\\u0000"}))
    streams.append(body=body_of(run_id="a\\\0\0b"))

    recorder.drain()

    booked = sql("SELECT customer_id, run_id FROM ledger_row ORDER BY seq")
    assert booked == [("cus_1", "\\u0000"), ("cus_1", "a\\b")]
    assert sql("SELECT tags->>'feature' FROM tag_set ORDER BY 1") == [("\\\\u0000",), ("search",)]
    assert [reason for reason, _ in letters()] == ["nul_in_body"]


FLATS: dict[str, dict[str, Any]] = {
    "no_event_id": {"event_id": ""},
    "an_event_id_of_no_kind": {"event_id": "x.settled.0"},
    "an_unknown_kind": {"kind": "gift"},
    "a_cost_that_is_no_number": {"cost": "1e9"},
    "a_cost_out_of_all_reason": {"cost": 2**60},
    "an_unknown_mode": {"mode": "demo"},
    "a_nul_in_an_id": {"tenant_id": "ten_a\0"},
    "draws_that_are_none": {"draws": "bud_x"},
    "a_month_out_of_all_reason": {"event_id": "zzzzzzzzzzzzzzzzzzzzzzzzzz.settled.0"},
    "a_month_before_us": {"event_id": "00000000010000000000000000.settled.0"},
}


def test_entries_that_make_no_sense_are_kept_and_passed(recorder: Recorder, streams: Streams) -> None:
    for flat in FLATS.values():
        for _ in range(20):
            streams.append()
        streams.append(**flat)
    streams.append()

    recorder.drain()

    assert sql("SELECT count(*) FROM ledger_row") == [(20 * len(FLATS) + 1,)]
    assert len(letters()) == len(FLATS)
    assert differences() == []


def test_what_postgresql_alone_refuses_is_bisected_out(
    recorder: Recorder, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.ledger.rows.check_body", lambda body: None)
    for _ in range(30):
        streams.append()
    poisoned = streams.append(body=body_of(attempt=2**40))
    for _ in range(30):
        streams.append()

    recorder.drain()

    assert sql("SELECT count(*) FROM ledger_row") == [(61,)]
    assert sql("SELECT request_id FROM ledger_row WHERE event_id = %s", poisoned) == [(poisoned[:26],)]
    assert letters() == [("refused_by_postgres", poisoned)]


def test_reading_again_makes_no_second_dead_letter(recorder: Recorder, streams: Streams) -> None:
    streams.append(body=b"{")
    recorder.drain()
    sql("DELETE FROM shard_mark", alias="owner")
    recorder.close()

    recorder.drain()

    assert len(letters()) == 1


def test_an_unknown_bucket_does_not_vanish(recorder: Recorder, streams: Streams) -> None:
    streams.append(body=body_of(usage={"input_tokens": 5, "hologram": 7}, extras={"web_search": 2}))

    recorder.drain()

    assert sql("SELECT input_tokens, extras FROM ledger_row") == [(5, '{"hologram": 7, "web_search": 2}')]


def test_a_price_named_after_a_long_model_is_a_rows_like_any_other(
    recorder: Recorder, streams: Streams
) -> None:
    price_id = f"genai-prices/0.2.3/together/{'m' * 100}/2026-01-01+priority"
    streams.append(body=body_of(price_id=price_id))

    recorder.drain()

    assert sql("SELECT price_id FROM ledger_row") == [(price_id,)]
    assert letters() == []


def late(streams: Streams, hold_id: str, **changes: Any) -> str:
    return streams.append(ACME, dead=True, hold_id=hold_id, **changes)


def test_a_late_end_of_a_hold_nobody_booked_becomes_its_row(recorder: Recorder, streams: Streams) -> None:
    event_id = late(streams, streams.hold_id())

    recorder.drain()

    assert sql("SELECT event_id, cost_nanousd FROM ledger_row") == [(event_id, 1_000)]
    assert letters() == [("late_end", event_id)]


@pytest.mark.parametrize(
    ("kind", "cost", "difference"), [("settled", 1_000, -8_000), ("released", 0, -9_000)]
)
def test_a_late_end_corrects_an_expiry_by_the_difference(
    recorder: Recorder, streams: Streams, kind: str, cost: int, difference: int
) -> None:
    hold_id = streams.hold_id()
    late(streams, hold_id, kind=kind, cost=cost, charge=cost, draws="")
    expired = streams.append(hold_id=hold_id, kind="expired", basis="unresolved", cost=9_000, charge=9_000)

    recorder.drain()

    assert sql("SELECT cost_nanousd, corrects FROM ledger_row WHERE kind = 'correction'") == [
        (difference, expired)
    ]
    assert sql("SELECT spent_nanousd FROM budget_window WHERE budget_id = 'bud_t'") == [(9_000 + difference,)]
    assert differences() == []


def test_a_late_end_does_not_wait_for_a_quiet_moment(
    make_recorder: Callable[..., Recorder], streams: Streams
) -> None:
    ticks = itertools.count(100.0)
    recorder = make_recorder(clock=lambda: next(ticks))
    event_id = late(streams, streams.hold_id())
    for _ in range(4):  # every round finds something new
        streams.append()
        recorder.step()
    assert letters() == [("late_end", event_id)]


def test_a_late_end_that_is_booked_already_changes_nothing(
    make_recorder: Callable[..., Recorder], streams: Streams
) -> None:
    hold_id = streams.hold_id()
    streams.append(hold_id=hold_id)
    late(streams, hold_id)
    late(streams, hold_id, kind="released", cost=0, charge=0)
    recorder = make_recorder()

    recorder.drain()
    sql("UPDATE shard_mark SET dead_stream_id = '0-0'", alias="owner")  # and read again
    recorder.close()
    recorder.drain()

    assert sql("SELECT count(*), sum(cost_nanousd) FROM ledger_row") == [(1, 1_000)]
    assert {reason for reason, _ in letters()} == {"late_end_known"}
