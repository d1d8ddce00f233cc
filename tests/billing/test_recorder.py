"""The recorder on real servers: every event once, whatever is repeated, killed or poisoned."""

from __future__ import annotations

import pytest

from billing.ledger.recorder import Recorder
from metering.ids import shard_of
from tests.billing.conftest import ACME, GLOBEX, Streams, sql

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
