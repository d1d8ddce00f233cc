"""Compared hours and closed months, as the portal and the API show them."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from billing.closing.months import close_month
from billing.models import Push, ReconRow
from billing.stripe.reconciling import reconcile_connection
from tests.billing.pushing.conftest import shop, till
from tests.billing.pushing.shop import Shop
from tests.factories import ACTOR, make_api_key
from tests.people import Browser, browser_of, make_member, text_of

__all__ = ["shop", "till"]
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def foreign(shop: Shop) -> Shop:
    """A shop in which somebody else wrote to the meter, on top of forty units of ours."""
    first, *_ = shop.sealed(3, 40)
    shop.send_due()
    at = first.stamp_at.replace(minute=5).isoformat().replace("+00:00", "Z")
    assert shop.stripe.event_v2(shop.buyer, 5, event_name=shop.meter.event_name, timestamp=at).is_success
    reconcile_connection(shop.connection, now=timezone.now())
    return shop


@pytest.fixture
def browser(foreign: Shop, settings: Settings) -> Browser:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return browser_of(make_member(foreign.till.tenant))


def api(shop: Shop) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_api_key(shop.till.tenant)}")
    return client


def test_the_api_lists_what_differs_and_takes_it_back_once(foreign: Shop) -> None:
    client = api(foreign)
    [row] = client.get("/api/v1/billing/reconciliation?state=differing").json()["data"]
    assert (row["state"], row["pushed_units"], row["stripe_units"], row["fixable_units"]) == (
        "foreign",
        3,
        "8",
        5,
    )
    assert row["why"] == "somebody else writes to the meter"
    assert len(client.get("/api/v1/billing/reconciliation").json()["data"]) == ReconRow.objects.count()
    assert client.get("/api/v1/billing/reconciliation?state=odd").status_code == 400
    assert client.get("/api/v1/billing/reconciliation?day=monday").status_code == 400

    path = f"/api/v1/billing/reconciliation/{row['id']}/fix"
    assert client.post(path, {"units": 4}, format="json").status_code == 400
    answer = client.post(path, {"units": 5}, format="json")
    assert (answer.status_code, answer.json()["value_units"]) == (200, -5)
    assert client.post(path, {"units": 5}, format="json").status_code == 409
    assert client.post("/api/v1/billing/reconciliation/x/fix", {"units": 5}, format="json").status_code == 404
    assert Push.objects.filter(value_units=-5).count() == 1


def test_the_export_names_each_hour(foreign: Shop) -> None:
    text = api(foreign).get("/api/v1/billing/reconciliation/export").content.decode()
    header, *lines = text.splitlines()
    assert header.startswith("hour,customer,meter,ledger_usd,pushed_units")
    assert [line.split(",")[7] for line in lines].count("foreign") == 1


def test_the_page_shows_the_number_and_takes_it_back(foreign: Shop, browser: Browser) -> None:
    page = text_of(browser.get("reconciliation", query="?state=differing"))
    assert "Fix with delta: -5 units" in page
    row = str(ReconRow.objects.get(state="foreign").pk)

    browser.post("reconciliation_fix", {"units": "4"}, recon_id=row)
    assert not Push.objects.filter(value_units=-5).exists()
    browser.post("reconciliation_fix", {"units": "5"}, recon_id=row)
    assert Push.objects.filter(value_units=-5).exists()
    page = text_of(browser.get("reconciliation", query="?state=differing"))
    assert ("taken back" in page, "Fix with delta" in page) == (True, False)
    assert text_of(browser.get("reconciliation_file")).startswith("hour,")


def test_months_are_shown_and_closed(foreign: Shop, browser: Browser) -> None:
    assert "is open" in text_of(browser.get("months"))
    browser.post("month_close", {"accept": "yes"})
    page = text_of(browser.get("months"))
    assert ("is open" in page, "Closed" in page) == (False, True)


def test_closed_months_are_listed_by_the_api(foreign: Shop) -> None:
    close_month(
        foreign.till.tenant,
        "test",
        date(2026, 1, 1),
        actor=ACTOR,
        now=timezone.now(),
        accept_differences=True,
    )
    [row] = api(foreign).get("/api/v1/billing/month-closes").json()["data"]
    assert (row["month"], row["charge_usd"]) == ("2026-01", "0.00")
