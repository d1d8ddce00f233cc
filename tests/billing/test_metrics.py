"""The figures of the workers' side, on real servers, and who may read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.test import Client
from django.utils import timezone

from billing.ledger.recorder import Recorder
from billing.metrics import metrics_text
from billing.models import DriftReport
from enforcement.control import Control
from enforcement.control_client import ControlClient
from enforcement.keys import deadlines_key
from metering.ids import shard_of
from tenants import publishing
from tests.billing.conftest import ACME, Streams
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def control(redis_client: redis.Redis, redis_url: str, settings: Any) -> Iterator[Control]:
    settings.REDIS_URL = redis_url
    publishing.shared_control.cache_clear()
    yield publishing.shared_control()
    publishing.shared_control.cache_clear()


def figures(control: Control) -> dict[str, float]:
    lines = metrics_text(control.client).splitlines()
    told = [line for line in lines if not line.startswith("#")]
    families = list(dict.fromkeys(re.split("[{ ]", line)[0] for line in told))
    assert [line for line in lines if line.startswith("#")] == [f"# TYPE {name} gauge" for name in families]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in told)}


def test_a_quiet_installation_has_nothing_to_tell(control: Control, streams: Streams) -> None:
    found = figures(control)
    assert (found.pop("farebox_postgresql_up"), found.pop("farebox_redis_up")) == (1, 1)
    assert found.pop("farebox_shards_closed") == 254
    assert set(found.values()) == {0}


def test_what_waits_and_what_went_wrong_is_counted(
    control: Control, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    streams.append(dead=True)
    recorder.drain()
    streams.append()
    redis_client.zadd(deadlines_key(shard_of(ACME)), {"hold": 1})
    make_tenant("Initech")
    for _ in range(2):
        DriftReport.objects.create(
            found_at=timezone.now(), tenant_id=ACME, mode="test", budget_id="bud_1", window_id="t0", epoch=1,
            seq=1, redis_spent_nanousd=7, ledger_spent_nanousd=0,
        )  # fmt: skip
    found = figures(control)
    assert found["farebox_recorder_backlog_entries"] == 1
    assert found["farebox_shards_behind"] == 1
    assert found["farebox_dead_letters"] == found["farebox_dead_letters_last_day"] == 1
    assert found["farebox_overdue_holds"] == 1
    assert found["farebox_drifting_windows"] == 1
    assert found["farebox_outbox_pending"] > 0
    assert found["farebox_outbox_oldest_seconds"] > 0


def test_a_redis_that_is_away_hides_nothing_of_postgresql() -> None:
    text = metrics_text(ControlClient("redis://127.0.0.1:1/0"))
    assert "farebox_redis_up 0" in text
    assert "farebox_postgresql_up 1" in text
    assert "farebox_dead_letters 0" in text
    assert "farebox_shards_closed" not in text


def ask(**environment: Any) -> int:
    # By address, as a scraper does: whatever host it names is none of the page's business.
    return Client().get("/internal/metrics", headers={"host": "10.1.2.3:8000"}, **environment).status_code


def test_without_a_token_only_this_machine_may_ask(settings: Any) -> None:
    settings.FAREBOX_METRICS_TOKEN = ""
    assert ask(REMOTE_ADDR="127.0.0.1") == ask(REMOTE_ADDR="::1") == 200
    assert ask(REMOTE_ADDR="192.0.2.1") == ask(REMOTE_ADDR="") == 403
    assert ask(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="127.0.0.1") == 403


def test_with_a_token_only_its_bearer_may_ask(settings: Any) -> None:
    settings.FAREBOX_METRICS_TOKEN = "correct horse"
    assert ask(REMOTE_ADDR="192.0.2.1", HTTP_AUTHORIZATION="Bearer correct horse") == 200
    assert ask(REMOTE_ADDR="127.0.0.1") == 403
    assert ask(REMOTE_ADDR="127.0.0.1", HTTP_AUTHORIZATION="Bearer wrong") == 403


def test_only_the_one_path_is_answered() -> None:
    assert Client().get("/internal/").status_code == 404
    assert Client().post("/internal/metrics").status_code == 404
