"""The periodic tasks run whole, on real servers."""

from __future__ import annotations

import pytest
import redis
from celery import current_app

from billing import tasks
from billing.models import DriftReport
from enforcement.keys import Scope
from tenants.publishing import shared_control
from tests.billing.conftest import Streams
from tests.factories import make_budget, make_tenant

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def _own_control(redis_client: redis.Redis) -> None:
    shared_control.cache_clear()


def test_every_scheduled_task_exists_and_never_piles_up() -> None:
    assert {entry["task"] for entry in tasks.BEAT.values()} <= set(current_app.tasks)
    assert all(entry["options"]["expires"] for entry in tasks.BEAT.values())


def test_every_task_runs_on_an_empty_installation(streams: Streams) -> None:
    for entry in tasks.BEAT.values():
        current_app.tasks[entry["task"]]()


def test_drift_looks_at_every_active_budget(streams: Streams, redis_client: redis.Redis) -> None:
    tenant = make_tenant("Acme")
    streams.open(tenant.pk)
    budget = make_budget(tenant)
    control = shared_control()
    scope = Scope(tenant.pk, "test")
    control.load_new_budget(scope, budget_id=budget.pk, limit_nanousd=10**9, version=1)
    for field, value in (("s", 7), ("h", 0), ("b", 0), ("e", 2**52)):
        redis_client.hset(scope.budget(budget.pk), f"{field}:d0", value)

    tasks.drift()

    [report] = DriftReport.objects.all()
    assert (report.budget_id, report.window_id, report.drift_nanousd) == (budget.pk, "d0", 7)
