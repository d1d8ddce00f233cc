"""Margins: charge less cost, losses first, and what becomes of calls at a loss."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.test import override_settings
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from tenants import publishing
from tests.billing.conftest import body_of
from tests.billing.pushing.conftest import CENT, Till, ms, till
from tests.factories import make_api_key, make_customer
from tests.people import browser_of, make_member, text_of

__all__ = ["till"]

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]


@pytest.fixture(autouse=True)
def _as_tests_run(settings: Settings) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    publishing.shared_control.cache_clear()
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield
    publishing.shared_control.cache_clear()


@pytest.fixture
def api(till: Till) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_api_key(till.tenant)}")
    return client


@pytest.fixture
def now() -> datetime:
    return timezone.now() - timedelta(seconds=1)


def book(till: Till, charge: int, cost: int, *, at: datetime, **body: object) -> None:
    given = {"customer_id": till.customer.pk, "started_ms": ms(at), "ended_ms": ms(at) + 9, **body}
    till.book(charge, cost=cost, at=at, body=body_of(**given))
    till.record()


def test_losses_come_first_with_their_share_of_the_charge(till: Till, api: APIClient, now: datetime) -> None:
    other = make_customer(till.tenant, external_id="other")
    book(till, 3 * CENT, 2 * CENT, at=now)
    book(till, 3 * CENT, 4 * CENT, at=now, model="gpt-5")
    book(till, 0, CENT, at=now, model="free")
    book(till, CENT, CENT, at=now, customer_id=other.pk)

    found = api.get("/api/v1/margin").json()["data"]

    assert [
        (each["customer"], each["model"], each["margin_usd"], each["margin_percent"]) for each in found
    ] == [
        (till.customer.pk, "free", "-0.01", None),
        (till.customer.pk, "gpt-5", "-0.01", "-33.34"),
        (other.pk, "gpt-4o-mini", "0.00", "0.00"),
        (till.customer.pk, "gpt-4o-mini", "0.01", "33.33"),
    ]


def test_margins_by_one_dimension_add_up(till: Till, api: APIClient, now: datetime) -> None:
    book(till, 3 * CENT, 2 * CENT, at=now)
    book(till, 3 * CENT, 4 * CENT, at=now, model="gpt-5")

    [found] = api.get("/api/v1/margin?group_by=customer").json()["data"]

    assert (found["charge_usd"], found["cost_usd"], found["margin_usd"]) == ("0.06", "0.06", "0.00")
    assert api.get("/api/v1/margin?group_by=colour").status_code == 400


def test_the_page_shows_losses_and_calls_quoted_below_cost(till: Till, now: datetime) -> None:
    book(
        till, 3 * CENT, 4 * CENT, at=now, request_id="req_loss", quote_cost_nanousd=9, quote_charge_nanousd=8
    )
    book(till, 5 * CENT, 4 * CENT, at=now, request_id="req_gain", model="gpt-5")
    browser = browser_of(make_member(till.tenant, "viewer"))

    page = text_of(browser.get("margin"))

    assert page.index("gpt-4o-mini") < page.index("gpt-5")
    assert "1 of 2 at a loss" in page
    assert "req_loss" in page
    assert "req_gain" not in page
    assert "no customer" not in text_of(browser.get("margin", query="?by=customer"))
    assert browser.get("margin", query="?by=colour").status_code == 200


def test_an_empty_month_says_so(till: Till) -> None:
    assert "No calls this month" in text_of(browser_of(make_member(till.tenant)).get("margin"))


def test_the_guard_is_set_by_who_may_and_reaches_the_policy(till: Till, api: APIClient) -> None:
    viewer, owner = (browser_of(make_member(till.tenant, role)) for role in ("viewer", "owner"))

    assert viewer.post("margin_guard", {"margin_guard": "refuse"}).status_code == 403
    assert owner.post("margin_guard", {"margin_guard": "loudly"}).status_code == 302
    assert till.tenant.settings_for("test").margin_guard == "off"
    owner.post("margin_guard", {"margin_guard": "refuse"})

    assert till.tenant.settings_for("test").margin_guard == "refuse"
    assert till.tenant.settings_for("live").margin_guard == "off"
    published = till.streams.client.hget(till.tenant.scope("test").tenant_policy(), "body")
    assert b'"margin_guard":"refuse"' in published
    assert (
        api.patch("/api/v1/settings", {"margin_guard": "warn"}, format="json").json()["margin_guard"]
        == "warn"
    )
    assert api.get("/api/v1/margin").json()["margin_guard"] == "warn"
