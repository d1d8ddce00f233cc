"""Refusals of the last hour on the overview: how many, whose, and never another tenant's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.test import override_settings
from pytest_django import Settings

from tenants import publishing
from tests.billing.conftest import Streams
from tests.factories import Holding, make_holding
from tests.people import browser_of, make_member, text_of

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def _as_tests_run(settings: Settings) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    publishing.shared_control.cache_clear()
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield
    publishing.shared_control.cache_clear()


def make_published(name: str, streams: Streams) -> Holding:
    holding = make_holding(name)
    streams.open(holding.tenant.pk)
    publishing.drain_outbox()
    return holding


def refuse(holding: Holding, client: redis.Redis, *, times: int, minutes_ago: int = 0) -> None:
    """Leave in Redis what a proxy leaves."""
    seconds, _ = client.time()
    key = holding.tenant.scope("test").refused(int(seconds) // 60 - minutes_ago)
    client.hincrby(key, holding.budget.pk, times)


def test_the_overview_says_how_often_budgets_refused_in_the_last_hour(
    streams: Streams, redis_client: redis.Redis
) -> None:
    acme, globex = make_published("Acme", streams), make_published("Globex", streams)
    refuse(acme, redis_client, times=2)
    refuse(acme, redis_client, times=1, minutes_ago=30)
    refuse(acme, redis_client, times=5, minutes_ago=90)

    shown = text_of(browser_of(make_member(acme.tenant)).get("overview"))
    others = text_of(browser_of(make_member(globex.tenant)).get("overview"))

    assert "3 calls refused by budgets in the last hour: " in shown
    assert f"/customers/{acme.customer.pk}/" in shown
    assert "refused by budgets" not in others


def test_a_new_refusal_is_sent_to_a_page_that_is_open(streams: Streams, redis_client: redis.Redis) -> None:
    acme = make_published("Acme", streams)
    browser = browser_of(make_member(acme.tenant))
    mark = text_of(browser.get("overview")).partition("?seen=")[2][:16]
    assert browser.get("overview", htmx=True, query=f"?seen={mark}").status_code == 204
    refuse(acme, redis_client, times=1)
    assert "1 call refused" in text_of(browser.get("overview", htmx=True, query=f"?seen={mark}"))


def test_without_enforcement_the_overview_still_stands(streams: Streams, settings: Settings) -> None:
    acme = make_published("Acme", streams)
    publishing.shared_control.cache_clear()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "cannot be read at the moment" in text_of(browser_of(make_member(acme.tenant)).get("overview"))
