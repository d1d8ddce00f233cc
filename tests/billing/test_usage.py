"""Usage by dimension and by any zone's days: always the sum of the rows."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.ledger.queries import differences
from billing.ledger.recorder import Recorder
from billing.ledger.usage import UsageQuestion, usage
from enforcement.keys import Scope
from metering.ids import shard_of
from tests.billing.conftest import ACME, GLOBEX, Streams, body_of, sql

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

# Lord Howe turns its clocks by half an hour; that Sunday is in the span.
START = datetime(2026, 10, 2, tzinfo=UTC)
END = datetime(2026, 10, 6, tzinfo=UTC)
ZONES = ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham"]


def question(**changes: Any) -> UsageQuestion:
    given: dict[str, Any] = {"scope": Scope(ACME, "test"), "start": START, "end": END}
    return UsageQuestion(**{**given, **changes})


def fill(streams: Streams, calls: int = 120) -> list[tuple[datetime, int]]:
    chance = random.Random(4)
    told = []
    for _ in range(calls):
        started = START + timedelta(seconds=chance.randrange(int((END - START).total_seconds())))
        started_ms, cost = int(started.timestamp() * 1000), chance.randrange(1, 10**9)
        body = body_of(
            started_ms=started_ms,
            model=chance.choice(["gpt-4o-mini", "gpt-5"]),
            tags={"feature": chance.choice(["search", "chat"])},
        )
        streams.append(hold_id=streams.hold_id(started_ms), cost=cost, charge=cost * 2, body=body)
        told.append((started, cost))
    return told


def begin(started: datetime, interval: str, zone: str) -> datetime:
    """Where the interval begins that an instant falls in, worked out without PostgreSQL."""
    local = started.astimezone(ZoneInfo(zone))
    if interval == "hour":  # under the clock of that moment, also where half an hour of it was skipped
        return started - timedelta(minutes=local.minute, seconds=local.second)
    midnight = local.replace(hour=0, minute=0, second=0, fold=0)
    return (midnight if interval == "day" else midnight.replace(day=1)).astimezone(UTC)


def test_any_zones_hours_days_and_months_are_sums_of_quarters(recorder: Recorder, streams: Streams) -> None:
    told = fill(streams)
    recorder.drain()

    for zone, interval in itertools.product(ZONES, ("hour", "day", "month")):
        expected: Counter[datetime] = Counter()
        for started, cost in told:
            expected[begin(started, interval, zone)] += cost
        groups = usage(question(interval=interval, zone=zone))
        assert {group.starts_at: group.sums["cost_nanousd"] for group in groups} == expected, (zone, interval)
    assert differences() == []


def test_groups_by_several_dimensions_and_tags(recorder: Recorder, streams: Streams) -> None:
    fill(streams)
    recorder.drain()

    groups = usage(question(group_by=("model", "tag:feature")))

    by_sql = sql(
        "SELECT model, tags->>'feature', count(*), sum(cost_nanousd)::bigint, sum(input_tokens)::bigint "
        "FROM ledger_row JOIN tag_set USING (tenant_id, tag_set_id) GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert [(*g.names, g.attempts, g.sums["cost_nanousd"], g.sums["input_tokens"]) for g in groups] == by_sql


def test_a_correction_changes_sums_but_is_no_attempt(recorder: Recorder, streams: Streams) -> None:
    started_ms = int(START.timestamp() * 1000)
    hold_id = streams.hold_id(started_ms)
    body = body_of(started_ms=started_ms, usage={})
    streams.append(hold_id=hold_id, kind="expired", basis="unresolved", cost=9_000, charge=9_900, body=body)
    streams.append(hold_id=hold_id, kind="correction", cost=-9_000, charge=-9_900, basis="none", body=body)
    recorder.drain()

    [group] = usage(question())

    assert (group.attempts, group.sums["cost_nanousd"], group.sums["charge_nanousd"]) == (1, 0, 0)


def test_nobody_sees_another_tenants_or_modes_usage(recorder: Recorder, streams: Streams) -> None:
    body = body_of(started_ms=int(START.timestamp() * 1000))
    streams.append(GLOBEX, body=body)
    streams.append(ACME, mode="live", body=body)
    recorder.drain()

    assert usage(question(group_by=("customer",))) == []
    assert len(usage(question(scope=Scope(ACME, "live"), group_by=("customer",)))) == 1
    assert shard_of(ACME) != shard_of(GLOBEX)
