"""Is ``spent`` in Redis the sum of the rows? Exact under traffic, and only ever a report.

Redis is read at one position of the shard. Once the recorder has passed it, what was booked beyond that position is
taken off the ledger's sum, and the two must be equal to the nano-dollar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from django.db import connections

from billing.errors import BillingError
from billing.ledger.feed import Feed
from billing.models import DriftReport
from enforcement.control import Control
from enforcement.decisions import Balance
from enforcement.keys import Scope

WAIT_SECONDS_MAX = 20.0
POLL_SECONDS = 0.1

_SPENT_AT = """
SELECT coalesce((SELECT sum(spent_nanousd) FROM budget_window
                 WHERE tenant_id = %(tenant_id)s AND mode = %(mode)s AND budget_id = %(budget_id)s
                   AND window_id = %(window_id)s), 0)::bigint
     - coalesce((SELECT sum(CASE draw->>2 WHEN 'cost' THEN cost_nanousd ELSE charge_nanousd END)
                 FROM ledger_row CROSS JOIN LATERAL jsonb_array_elements(draws) AS draw
                 WHERE recorded_at >= %(read_at)s AND tenant_id = %(tenant_id)s AND mode = %(mode)s
                   AND (epoch, seq) > (%(epoch)s, %(seq)s)
                   AND draw->>0 = %(budget_id)s AND draw->>1 = %(window_id)s), 0)::bigint
"""


class RecorderTooSlow(BillingError):
    """The recorder did not reach the position that was read; nothing can be said about drift."""

    code = "recorder_too_slow"


def check_drift(
    control: Control,
    feed: Feed,
    *,
    scope: Scope,
    budget_ids: Sequence[str],
    left_out: Collection[tuple[str, str]] = (),
    wait: Callable[[float], None] = time.sleep,
) -> list[DriftReport]:
    """Compare budgets of one tenant and keep a report for each window that differs.

    ``left_out``: pairs (budget, window) opened with rows from before the budget, which nothing sums by budget.

    Raises: EnforcementUnavailable; RecorderTooSlow when the position read was not recorded in time.
    """
    read_at = _database_now()
    balances = [balance for balance in control.read_budgets(scope, list(budget_ids)) if balance is not None]
    if not balances:
        return []
    wait_for_recorder(feed, scope.shard, wait=wait)
    reports = [report for balance in balances for report in _compare(scope, balance, read_at)]
    return DriftReport.objects.bulk_create(
        report for report in reports if (report.budget_id, report.window_id) not in left_out
    )


def wait_for_recorder(feed: Feed, shard: int, *, wait: Callable[[float], None] = time.sleep) -> None:
    """Wait until all that is on a shard's stream by now is in the ledger.

    Raises: EnforcementUnavailable; RecorderTooSlow.
    """
    # The last event by now is no earlier than the last one when the budgets were read.
    wanted = feed.states([shard])[shard]
    for _ in range(int(WAIT_SECONDS_MAX / POLL_SECONDS)):
        state = feed.states([shard])[shard]
        if state.epoch != wanted.epoch:
            raise RecorderTooSlow(
                f"shard {shard} was rebuilt meanwhile: epoch {wanted.epoch} is now {state.epoch}"
            )
        if state.recorded_seq >= wanted.last_event_seq:
            return
        wait(POLL_SECONDS)
    raise RecorderTooSlow(
        f"shard {shard} is recorded up to {state.recorded_seq}, not to {wanted.last_event_seq}"
    )


def _compare(scope: Scope, balance: Balance, read_at: datetime) -> list[DriftReport]:
    reports = []
    for window in balance.windows:
        booked_nanousd = _spent_at(scope, balance, window.window_id, read_at)
        if booked_nanousd != window.spent_nanousd:
            reports.append(
                DriftReport(
                    found_at=read_at,
                    tenant_id=scope.tenant_id,
                    mode=scope.mode,
                    budget_id=balance.budget_id,
                    window_id=window.window_id,
                    epoch=balance.epoch,
                    seq=balance.seq,
                    redis_spent_nanousd=window.spent_nanousd,
                    ledger_spent_nanousd=booked_nanousd,
                )
            )
    return reports


def _spent_at(scope: Scope, balance: Balance, window_id: str, read_at: datetime) -> int:
    parameters: dict[str, str | int | datetime] = {
        "tenant_id": scope.tenant_id,
        "mode": scope.mode,
        "budget_id": balance.budget_id,
        "window_id": window_id,
        "epoch": balance.epoch,
        "seq": balance.seq,
        "read_at": read_at,
    }
    with connections["default"].cursor() as cursor:
        cursor.execute(_SPENT_AT, parameters)
        [(spent_nanousd,)] = cursor.fetchall()
    return int(spent_nanousd)


def _database_now() -> datetime:
    # PostgreSQL's clock, which stamps the rows: no row appended after the reading can carry an earlier instant.
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [(now,)] = cursor.fetchall()
    assert isinstance(now, datetime)
    return now
