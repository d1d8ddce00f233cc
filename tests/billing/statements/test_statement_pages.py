"""Statements as people and programs get them: page, file and API, and each row worked out on its own page."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.test import AsyncClient, override_settings
from pytest_django import Settings
from rest_framework.test import APIClient

from billing.ledger.arithmetic import arithmetic_of
from billing.models import LedgerRow
from metering.base_prices import find_base
from metering.cost import cost_of
from metering.money import NanoUsd, charge_for, format_usd
from metering.usage import Usage
from tenants import publishing
from tenants.base_books import keep_installed_book
from tests.billing.conftest import body_of
from tests.billing.pushing.conftest import CENT, HOUR, TEN, Till, ms
from tests.factories import make_api_key, make_tenant
from tests.people import Browser, browser_of, make_member, text_of

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]

PERIOD = "?period=2026-11"


@pytest.fixture(autouse=True)
def _as_tests_run(settings: Settings) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    publishing.shared_control.cache_clear()
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield
    publishing.shared_control.cache_clear()


@pytest.fixture
def browser(till: Till) -> Browser:
    return browser_of(make_member(till.tenant, "viewer"))


@pytest.fixture
def api(till: Till) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_api_key(till.tenant)}")
    return client


def book(till: Till, request_id: str = "req_a", **changes: Any) -> tuple[int, int]:
    """A call at a price of the installed book with a markup; returns its cost and charge."""
    keep_installed_book()
    price = find_base("openai", "gpt-4o-mini", ms(TEN))
    assert price is not None
    cost = cost_of(Usage(input_tokens=1_001, cache_read_tokens=300, output_tokens=77), price)
    charge = charge_for(NanoUsd(cost), 1_250, 7)
    body = body_of(
        request_id=request_id, customer_id=till.customer.pk, started_ms=ms(TEN), ended_ms=ms(TEN) + 9, markup_bp=1_250,
        markup_fixed_nanousd=7, price_id=price.price_id, usage={"input": 1_001, "cache_read": 300, "output": 77},
    )  # fmt: skip
    till.book(charge, cost=cost, body=body, **changes)
    return cost, charge


def test_a_statement_shows_charges_and_never_what_they_cost(
    till: Till, browser: Browser, api: APIClient
) -> None:
    cost, charge = book(till)
    hold_id = till.streams.hold_id(ms(TEN))
    till.expire(9 * CENT, hold_id=hold_id)
    till.correct(-7 * CENT, hold_id=hold_id, at=TEN + HOUR)
    till.expire(5 * CENT, hold_id=till.streams.hold_id(ms(TEN)))
    till.record()

    found = api.get(f"/api/v1/billing/statements?customer={till.customer.external_id}&period=2026-11").json()
    page = text_of(browser.get("statement", customer_id=till.customer.pk, query=PERIOD))
    file = browser.get("statement_file", customer_id=till.customer.pk, query=PERIOD)

    total = format_usd(charge + 2 * CENT)
    assert (found["total_usd"], found["usage_usd"]) == (total, format_usd(charge))
    assert found["unresolved"] == {"calls": 1, "held_usd": "0.05"}
    assert [line["charge_usd"] for line in found["corrections"]] == ["0.02"]
    [line] = found["usage"]
    assert (line["calls"], line["markup_percent"], line["usd_per_call"]) == (1, "12.50", "0.000000007")
    assert {price["bucket"]: price["usd_per_mtok"] for price in line["unit_prices"]} == {
        "input": "0.16875", "cache_read": "0.084375", "output": "0.675",
    }  # fmt: skip
    rows = list(csv.DictReader(StringIO("".join(part.decode() for part in file.streaming_content))))  # type: ignore[attr-defined]
    assert rows[-1]["charge_usd"] == total
    assert "0.16875" in page
    assert format_usd(cost) not in page + str(found) + str(rows)
    assert "preview" in page
    assert found["period"]["preview"] is True


def test_a_line_opens_its_calls(till: Till, browser: Browser) -> None:
    book(till, "req_mine")
    till.book(
        CENT,
        body=body_of(
            request_id="req_dearer", customer_id=till.customer.pk, model="gpt-5", started_ms=ms(TEN)
        ),
    )
    till.record()
    page = text_of(browser.get("statement", customer_id=till.customer.pk, query=PERIOD))
    query = next(part for part in page.split('"') if "?customer=" in part and "gpt-4o-mini" in part)

    calls = text_of(browser.client.get(query.replace("&amp;", "&")))

    assert "req_mine" in calls
    assert "req_dearer" not in calls


def test_a_call_shows_how_its_charge_is_worked_out(till: Till, browser: Browser) -> None:
    cost, charge = book(till)
    till.record()

    page = text_of(browser.get("request", request_id="req_a"))

    row = LedgerRow.objects.get()
    arithmetic = arithmetic_of([row])[row.event_id]
    assert [(each.name, each.count, each.usd_each, each.usd) for each in arithmetic.factors] == [
        ("input tokens", 1_001, "0.15", "0.00015015"),
        ("cache read tokens", 300, "0.075", "0.0000225"),
        ("output tokens", 77, "0.60", "0.0000462"),
    ]
    assert (row.cost_nanousd, row.charge_nanousd) == (cost, charge) == (218_850, 246_214)
    assert "comes to exactly what is booked" in page
    assert "0.00015015" in page


def test_a_row_that_does_not_work_out_says_so(till: Till, browser: Browser) -> None:
    book(till, charge=1)
    till.record()

    assert "is not what is booked" in text_of(browser.get("request", request_id="req_a"))


def test_without_a_customer_the_api_tells_all_totals(till: Till, browser: Browser, api: APIClient) -> None:
    _, charge = book(till)
    till.record()

    [found] = api.get("/api/v1/billing/statements?period=2026-11").json()["data"]

    assert (found["customer"], found["total_usd"]) == (till.customer.pk, format_usd(charge))
    assert till.customer.pk in text_of(browser.get("statements"))


def test_a_period_or_customer_that_is_none_is_refused(till: Till, browser: Browser, api: APIClient) -> None:
    globex = browser_of(make_member(make_tenant("Globex")))
    url = "/api/v1/billing/statements"

    assert api.get(f"{url}?customer={till.customer.pk}&period=2026-13").status_code == 400
    assert api.get(f"{url}?customer=cus_nobody").status_code == 404
    assert api.get(f"{url}?customer=%00").status_code == 400
    assert browser.get("statement", customer_id=till.customer.pk, query="?period=x").status_code == 302
    assert globex.get("statement", customer_id=till.customer.pk).status_code == 404
    assert globex.get("statement_file", customer_id=till.customer.pk).status_code == 404


def test_a_tenant_without_customers_sees_what_would_be_here(till: Till) -> None:
    globex = browser_of(make_member(make_tenant("Globex")))

    assert "No customers yet" in text_of(globex.get("statements"))


def test_a_file_is_streamed_by_the_asynchronous_server_as_well(till: Till) -> None:
    book(till)
    hold_id = till.streams.hold_id(ms(TEN))
    till.expire(9 * CENT, hold_id=hold_id)
    till.correct(-7 * CENT, hold_id=hold_id, at=TEN + HOUR)
    till.record()
    secret = make_api_key(till.tenant)

    async def read() -> str:
        url = f"/api/v1/billing/statements/{till.customer.pk}/export?period=2026-11"
        answer = await AsyncClient().get(url, headers={"Authorization": f"Bearer {secret}"})
        return b"".join([part async for part in answer.streaming_content]).decode()  # type: ignore[attr-defined]

    rows = list(csv.DictReader(StringIO(asyncio.run(read()))))

    assert [row["kind"] for row in rows] == ["usage", "correction", "preview"]
