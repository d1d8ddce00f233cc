"""`manage.py reload_budget` on real servers: spent becomes what the ledger says, with traces."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import redis
from django.core.management import CommandError, call_command

from billing.ledger import drift, reloading
from billing.ledger.recorder import Recorder
from enforcement.control import Control
from enforcement.keys import Scope
from enforcement.wanted import unload_budget
from tenants import publishing
from tenants.actions import budgets
from tenants.models import AuditEntry, Budget
from tests.billing.conftest import Streams
from tests.factories import ACTOR, make_budget, make_customer, make_tenant

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    publishing.shared_control.cache_clear()
    control = Control(redis_url)
    yield control
    control.close()
    publishing.shared_control.cache_clear()


@pytest.fixture
def budget(control: Control, redis_client: redis.Redis, recorder: Recorder) -> Budget:
    """A budget whose rows say 700 and whose record says 950."""
    tenant = make_tenant("Acme")
    budget = make_budget(tenant, make_customer(tenant))
    streams = Streams(redis_client)
    streams.open(tenant.pk)
    scope = Scope(tenant.pk, "test")
    control.load_new_budget(
        scope, budget_id=budget.pk, limit_nanousd=budget.limit_nanousd, version=budget.version
    )
    redis_client.hset(scope.budget(budget.pk), mapping={"s:t0": 950, "h:t0": 20, "b:t0": 0, "e:t0": 2**52})
    streams.append(tenant.pk, cost=700, charge=700, draws=f"{budget.pk}:t0:charge")
    return budget


def reload(budget_id: str) -> str:
    out = io.StringIO()
    call_command("reload_budget", budget_id, stdout=out)
    return out.getvalue()


def standing(control: Control, budget: Budget) -> tuple[int, int] | None:
    balance = control.read_budget(Scope(budget.tenant_id, "test"), budget.pk)
    if balance is None:
        return None
    [window] = balance.windows
    return window.spent_nanousd, window.held_nanousd


def test_spent_is_set_from_the_ledger_and_written_down(
    budget: Budget, control: Control, recorder: Recorder
) -> None:
    recorder.drain()
    printed = reload(budget.pk)
    assert standing(control, budget) == (700, 20)
    assert "$0.00000095" in printed
    assert "$0.0000007" in printed
    entries = AuditEntry.objects.filter(object_id=budget.pk, actor_kind="operator")
    begun, ended = entries.filter(action__startswith="budget.reload").order_by("at", "id")
    assert (begun.action, begun.before) == ("budget.reload", {"spent_nanousd": {"t0": 950}})
    assert (ended.action, ended.after) == ("budget.reloaded", {"spent_nanousd": {"t0": 700}})


def test_a_budget_that_was_not_loaded_is_loaded(budget: Budget, control: Control, recorder: Recorder) -> None:
    recorder.drain()
    unload_budget(control.client, Scope(budget.tenant_id, "test"), budget.pk)
    assert "not loaded" in reload(budget.pk)
    assert standing(control, budget) == (700, 20)


def test_while_the_recorder_is_behind_nothing_is_touched(
    budget: Budget, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "WAIT_SECONDS_MAX", 0.2)
    with pytest.raises(CommandError, match="recorded up to"):
        reload(budget.pk)
    assert standing(control, budget) == (950, 20)
    assert not AuditEntry.objects.filter(action="budget.reload").exists()


def test_a_reload_that_meets_an_event_it_cannot_wait_for_is_left_to_the_keeper(
    budget: Budget, control: Control, redis_client: redis.Redis, recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recorder.drain()
    monkeypatch.setattr(reloading, "TRIES_MAX", 2)
    monkeypatch.setattr(
        reloading, "unload_budget", lambda *args: unload_after_an_event(redis_client, budget, *args)
    )
    with pytest.raises(CommandError, match="until the keeper"):
        reload(budget.pk)
    assert standing(control, budget) is None


def unload_after_an_event(client: redis.Redis, budget: Budget, *args: object) -> bool:
    client.hincrby(f"{{s{Scope(budget.tenant_id, 'test').shard}}}:shard", "last_event_seq", 5)
    return unload_budget(*args)  # type: ignore[arg-type]  # as the function it stands in for


def test_only_a_budget_in_force_can_be_reloaded(budget: Budget) -> None:
    with pytest.raises(CommandError, match="no budget bud_nobody"):
        reload("bud_nobody")
    budgets.archive_budget(budget=budget, actor=ACTOR)
    with pytest.raises(CommandError, match="is in force"):
        reload(budget.pk)
