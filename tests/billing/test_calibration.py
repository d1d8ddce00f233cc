"""Quotes against what was reported: summed with the rows, told to the tenant, and stopping what overruns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from billing import tasks
from billing.ledger.calibration import Calibration, calibration, days_with_overruns
from billing.ledger.calibration_sql import CLASSES, EDGES_PERMILLE
from billing.ledger.recorder import Recorder
from billing.metrics import metrics_text
from enforcement.keys import Scope
from tenants import publishing
from tenants.actions.tenants import change_settings
from tenants.models import AuditEntry, Outbox, StoppedModel, Tenant
from tests.billing.conftest import Streams, body_of, sql
from tests.factories import ACTOR, make_api_key, make_tenant

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.filterwarnings("ignore:No directory at"),  # static files are collected for production only
]


@pytest.fixture(autouse=True)
def _own_control(redis_client: redis.Redis, redis_url: str, settings: Any) -> Iterator[None]:
    settings.REDIS_URL = redis_url
    publishing.shared_control.cache_clear()
    yield
    publishing.shared_control.cache_clear()


@pytest.fixture
def acme(streams: Streams) -> Tenant:
    tenant = make_tenant("Acme")
    streams.open(tenant.pk)
    publishing.drain_outbox()
    return tenant


def now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)


def book(
    streams: Streams, recorder: Recorder, tenant: Tenant, *, cost: int = 1_000, count: int = 1, **changes: Any
) -> None:
    """Book calls of this moment, held at 10,000 nano-dollars unless said otherwise."""
    event = {key: changes.pop(key) for key in ("kind", "basis", "mode") if key in changes}
    at_ms = now_ms()
    given = {"started_ms": at_ms, "ended_ms": at_ms, "quote_cost_nanousd": 10_000, **changes}
    for _ in range(count):
        hold_id = streams.hold_id(at_ms)
        streams.append(tenant.pk, hold_id=hold_id, body=body_of(**given), cost=cost, charge=cost, **event)
    recorder.drain()


def only(since_days: int = 1) -> Calibration:
    [found] = calibration(timezone.now().date() - timedelta(days=since_days))
    return found


def test_bounds_are_compared_with_what_was_reported(
    streams: Streams, recorder: Recorder, acme: Tenant
) -> None:
    book(
        streams,
        recorder,
        acme,
        cost=5_000,
        usage={"input": 50, "cache_read": 30, "output": 16, "reasoning": 16},
    )
    book(streams, recorder, acme, cost=10_000, usage={"input": 101, "output": 65})
    found = only()
    assert (found.provider, found.model, found.mode, found.bound_class, found.calls) == (
        "openai", "gpt-4o-mini", "test", "exact", 2,
    )  # fmt: skip
    assert (found.input.bound, found.input.actual, found.input.above_count) == (200, 181, 1)
    assert (found.output.bound, found.output.actual, found.output.above_count) == (128, 97, 1)
    assert (found.cost.bound, found.cost.actual, found.cost.above_count) == (20_000, 15_000, 0)
    assert found.cost.unneeded_percent == 25
    assert (found.cost.permille_at(50), found.cost.permille_at(100)) == (500, 1000)
    assert (found.input.permille_at(50), found.input.permille_at(100)) == (841, None)


@pytest.mark.parametrize(
    ("cost", "place"),
    [
        (0, 0),
        (10, 0),
        (11, 1),
        (5_000, 10),
        (5_001, 11),
        (10_000, CLASSES - 2),
        (10_001, CLASSES - 1),
        (2**53, 15),
    ],
)
def test_a_share_lies_in_its_class(
    streams: Streams, recorder: Recorder, acme: Tenant, cost: int, place: int
) -> None:
    book(streams, recorder, acme, cost=cost)
    assert only().cost.shares == tuple(int(each == place) for each in range(CLASSES))
    assert len(EDGES_PERMILLE) == CLASSES - 1


def test_only_reported_usage_counts(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    book(streams, recorder, acme, basis="estimated")
    book(streams, recorder, acme, kind="expired", basis="unresolved")
    book(streams, recorder, acme, kind="released", basis="none", cost=0)
    assert calibration(timezone.now().date()) == []


def test_a_quote_of_nothing_is_no_bound(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    book(streams, recorder, acme, quote_cost_nanousd=0, output_cap=0, quoted_input_tokens=0, cost=0)
    found = only()
    assert (found.calls, sum(found.cost.shares), found.cost.unneeded_percent) == (1, 0, None)
    assert found.cost.permille_at(50) is None


def test_what_is_read_twice_counts_once(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    book(streams, recorder, acme, count=3)
    sql("DELETE FROM shard_mark", alias="owner")
    recorder.close()
    recorder.drain()
    assert only().calls == 3


def test_a_day_is_utcs_and_the_calls_own(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    late = datetime(2026, 11, 17, 23, 59, 59, tzinfo=UTC)
    book(streams, recorder, acme, started_ms=int(late.timestamp() * 1000))
    assert sql("SELECT day::text FROM calibration") == [("2026-11-17",)]


def client_of(tenant: Tenant, **terms: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_api_key(tenant, **terms)}")
    return client


def test_a_tenant_reads_its_own_calibration(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    globex = make_tenant("Globex")
    book(streams, recorder, acme, cost=2_500, count=3)
    book(streams, recorder, globex, cost=9_000, model="gpt-4o")
    book(streams, recorder, acme, cost=9_000, model="gpt-5", mode="live")
    answer = client_of(acme).get("/api/v1/calibration").json()
    [model] = answer["models"]
    assert (model["model"], model["calls"], model["bound_class"]) == ("gpt-4o-mini", 3, "exact")
    assert model["cost_usd"]["bound"] == "0.00003"
    assert model["cost_usd"]["unneeded_percent"] == 75
    assert model["cost_usd"]["share_permille"] == {"p50": 250, "p90": 250, "p99": 250}
    assert client_of(acme).get("/api/v1/calibration?model=gpt-4o").json()["models"] == []
    for days in ("0", "x", "99999999999", "401", "²"):
        assert client_of(acme).get("/api/v1/calibration", {"days": days}).status_code == 400


def test_the_command_prints_a_line_per_model(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    book(streams, recorder, acme, cost=2_500, count=2)
    book(streams, recorder, acme, cost=11_000)
    out = StringIO()
    call_command("calibration", "--days", "2", "--model", "gpt-4o-mini", stdout=out)
    head, line = out.getvalue().splitlines()
    assert head.startswith("model")
    assert line.split()[:4] == ["openai/gpt-4o-mini", "test", "exact", "3"]
    assert "46 %" in line
    assert "25 % / above" not in line
    empty = StringIO()
    call_command("calibration", "--model", "none", stdout=empty)
    assert "no call" in empty.getvalue()
    with pytest.raises(CommandError):
        call_command("calibration", "--days", "0")


def policy_of(redis_client: redis.Redis, tenant: Tenant) -> str:
    key = Scope(tenant.pk, "test").tenant_policy()
    return str(redis_client.hgetall(key) if redis_client.type(key) == b"hash" else redis_client.get(key))


def test_overruns_beyond_the_threshold_stop_the_model_at_once(
    streams: Streams, recorder: Recorder, acme: Tenant, redis_client: redis.Redis
) -> None:
    change_settings(tenant=acme, mode="test", actor=ACTOR, changes={"overrun_stop_count": 3})
    publishing.drain_outbox()
    book(streams, recorder, acme, cost=10_001, count=2)
    tasks.overruns()
    assert StoppedModel.objects.count() == 0

    book(streams, recorder, acme, cost=10_001)
    tasks.overruns()
    tasks.overruns()

    [stop] = StoppedModel.objects.all()
    assert (stop.provider, stop.model, stop.calls, stop.overruns) == ("openai", "gpt-4o-mini", 3, 3)
    assert Outbox.objects.count() == 0
    assert '"stopped_models":[{"provider":"openai","model":"gpt-4o-mini"}]' in policy_of(redis_client, acme)
    [entry] = AuditEntry.objects.filter(action="model.stop")
    assert entry.after["overruns"] == 3


def test_few_overruns_among_many_calls_stop_nothing(
    streams: Streams, recorder: Recorder, acme: Tenant
) -> None:
    changes = {"overrun_stop_count": 2, "overrun_stop_share_bp": 5_000}
    change_settings(tenant=acme, mode="test", actor=ACTOR, changes=changes)
    book(streams, recorder, acme, count=3)
    book(streams, recorder, acme, cost=10_001, count=2)
    tasks.overruns()
    assert StoppedModel.objects.count() == 0
    book(streams, recorder, acme, cost=10_001)
    tasks.overruns()
    assert StoppedModel.objects.count() == 1


def test_a_count_of_zero_stops_never(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    change_settings(tenant=acme, mode="test", actor=ACTOR, changes={"overrun_stop_count": 0})
    book(streams, recorder, acme, cost=10_001, count=30)
    tasks.overruns()
    assert StoppedModel.objects.count() == 0
    assert len(days_with_overruns(timezone.now().date())) == 1


def test_a_resumed_model_starts_counting_anew(
    streams: Streams, recorder: Recorder, acme: Tenant, redis_client: redis.Redis
) -> None:
    change_settings(tenant=acme, mode="test", actor=ACTOR, changes={"overrun_stop_count": 3})
    book(streams, recorder, acme, cost=10_001, count=4)
    tasks.overruns()
    client = client_of(acme)
    [stop] = client.get("/api/v1/stopped-models").json()["data"]
    assert (stop["model"], stop["resumed_at"]) == ("gpt-4o-mini", None)

    answer = client.post(f"/api/v1/stopped-models/{stop['id']}/resume")

    assert answer.status_code == 200, answer.content
    assert answer.json()["resumed_at"] is not None
    assert '"stopped_models":[]' in policy_of(redis_client, acme)
    assert client.post(f"/api/v1/stopped-models/{stop['id']}/resume").json()["code"] == "wrong_state"
    assert AuditEntry.objects.filter(action="model.resume", actor_kind="api_key").count() == 1
    book(streams, recorder, acme, cost=10_001, count=2)
    tasks.overruns()
    assert StoppedModel.objects.filter(resumed_at=None).count() == 0
    book(streams, recorder, acme, cost=10_001)
    tasks.overruns()
    assert StoppedModel.objects.filter(resumed_at=None).count() == 1


def test_the_share_a_model_is_stopped_for_is_a_setting(acme: Tenant) -> None:
    client = client_of(acme)
    before = client.get("/api/v1/settings").json()
    assert (before["overrun_stop_count"], before["overrun_stop_share_percent"]) == (10, "1.00")
    changes = {"overrun_stop_count": 5, "overrun_stop_share_percent": "2.50"}
    answer = client.patch("/api/v1/settings", changes, format="json")
    assert (answer.status_code, answer.json()["overrun_stop_share_percent"]) == (200, "2.50")
    refused = client.patch("/api/v1/settings", {"overrun_stop_share_percent": "101"}, format="json")
    assert refused.status_code == 400


def test_a_scrape_tells_each_models_fit(streams: Streams, recorder: Recorder, acme: Tenant) -> None:
    odd = 'ft:"x"\\y'
    book(streams, recorder, acme, cost=2_500, count=2)
    book(streams, recorder, acme, cost=10_001, model=odd)
    text = metrics_text(publishing.shared_control().client)
    labels = 'provider="openai",model="gpt-4o-mini",mode="test",bound="exact"'
    assert f"farebox_calibrated_calls{{{labels}}} 2\n" in text
    assert f"farebox_held_money_unneeded_percent{{{labels}}} 75\n" in text
    assert r'model="ft:\"x\"\\y"' in text
    assert "\nfarebox_overruns 1\n" in text
    assert text.count("# TYPE farebox_calibrated_calls gauge\n") == 1
