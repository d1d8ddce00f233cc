"""Pushes on the page and over HTTP: where each stands, what comes next, and trying again only where it is safe."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from pytest_django import Settings
from rest_framework.test import APIClient

from billing.models import Push
from billing.pushing.listing import amount_text, rows_of_push
from billing.pushing.sealing import seal_all
from billing.pushing.states import NEXT_STEPS
from tenants.models import AuditEntry
from tests.billing.pushing.conftest import CENT, HOUR, TEN, Till, connect, map_customer
from tests.factories import make_api_key
from tests.people import Browser, browser_of, make_member, text_of

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.filterwarnings("ignore:No directory at"),  # static files are collected for production only
]


@pytest.fixture(autouse=True)
def _as_tests_run(settings: Settings) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


def api(till: Till, **terms: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_api_key(till.tenant, **terms)}")
    return client


def browser(till: Till, role: str = "finance") -> Browser:
    return browser_of(make_member(till.tenant, role))


def one_push(till: Till) -> Push:
    till.book(3 * CENT)
    till.record()
    seal_all(TEN + HOUR)
    return Push.objects.get()


def test_the_list_counts_states_and_narrows(billed: Till) -> None:
    push = one_push(billed)
    client = api(billed)

    answer = client.get("/api/v1/billing/pushes").json()
    summary = client.get("/api/v1/billing/pushes/summary").json()

    [shown] = answer["data"]
    assert (shown["id"], shown["state"], shown["amount"], shown["charge_usd"]) == (
        push.pk, "pending", "0.03 USD", "0.03",
    )  # fmt: skip
    assert shown["next_step"] == NEXT_STEPS["pending"]
    assert (summary["states"]["pending"], summary["states"]["held"], summary["unsealed"]) == (1, 0, [])
    assert client.get("/api/v1/billing/pushes?state=held").json()["data"] == []
    assert len(client.get("/api/v1/billing/pushes?customer=customer-1").json()["data"]) == 1
    assert client.get("/api/v1/billing/pushes?state=lost").status_code == 400


def test_what_is_not_sealed_says_why(till: Till) -> None:
    till.book(3 * CENT)
    till.record()

    [line] = api(till).get("/api/v1/billing/pushes/summary").json()["unsealed"]
    page = text_of(browser(till).get("pushes"))

    assert line["reason"] == "no Stripe account is connected"
    assert (line["charge_usd"], line["customer"]) == ("0.03", till.customer.pk)
    assert "no Stripe account is connected" in page


def test_only_what_cannot_be_billed_twice_is_tried_again(billed: Till) -> None:
    push = one_push(billed)
    client = api(billed)
    path = f"/api/v1/billing/pushes/{push.pk}/retry"

    assert client.post(path).status_code == 200
    assert AuditEntry.objects.filter(action="push.retry", object_id=push.pk).count() == 1
    for state in ("ambiguous", "accepted", "confirmed", "rejected", "inflight", "void"):
        Push.objects.update(state=state)
        answer = client.post(path)
        assert (state, answer.status_code, answer.json()["code"]) == (state, 409, "wrong_state")
    Push.objects.update(state="failed", is_doubtful=True)
    assert client.post(path).status_code == 409
    Push.objects.update(is_doubtful=False)
    assert client.post(path).json()["state"] == "retry"


def test_a_held_push_is_let_go_once_it_may(till: Till) -> None:
    connect(till.tenant)
    push = one_push(till)
    client = api(till)
    path = f"/api/v1/billing/pushes/{push.pk}/retry"
    refused = client.post(path)
    assert (refused.status_code, "map it" in refused.json()["detail"]) == (409, True)

    map_customer(till.customer)
    assert client.post(path).json()["state"] == "pending"


def test_a_key_that_may_not_write_tries_nothing_again(billed: Till) -> None:
    push = one_push(billed)
    reader = api(billed, scopes=("billing:read",))

    assert reader.get(f"/api/v1/billing/pushes/{push.pk}").status_code == 200
    assert reader.post(f"/api/v1/billing/pushes/{push.pk}/retry").status_code == 403


def test_the_pages_show_a_push_with_its_rows(billed: Till) -> None:
    push = one_push(billed)
    finance = browser(billed)

    listed, shown = text_of(finance.get("pushes")), text_of(finance.get("push", push_id=push.pk))

    assert "0.03 USD" in listed
    assert "pending (1)" in listed
    assert push.identifier in shown
    assert "gpt-4o-mini" in shown
    assert NEXT_STEPS["pending"] in shown
    assert "No pushes like that" in text_of(finance.get("pushes", query="?state=failed"))
    assert finance.post("push_retry", push_id=push.pk).status_code == 302
    assert browser(billed, "viewer").post("push_retry", push_id=push.pk).status_code == 403


def test_the_rows_of_a_push_add_up_to_it(billed: Till) -> None:
    hold_id = billed.streams.hold_id()
    billed.book(3 * CENT)
    billed.expire(9 * CENT, hold_id=hold_id)
    billed.correct(-7 * CENT, hold_id=hold_id, at=TEN)
    billed.record()
    seal_all(TEN + HOUR)
    billed.book(4 * CENT)
    billed.record()
    seal_all(TEN + HOUR)

    for push in Push.objects.all():
        rows = rows_of_push(push)
        assert sum(row.charge_nanousd for row in rows) == push.charge_nanousd
        assert len(rows) == push.row_count
    assert sorted(Push.objects.values_list("value_units", flat=True)) == [4, 5]


def test_pushes_are_downloaded_as_they_are_listed(billed: Till) -> None:
    one_push(billed)
    text = api(billed).get("/api/v1/billing/pushes/export").content.decode()

    [row] = csv.DictReader(io.StringIO(text))
    assert (row["value_units"], row["state"], row["currency"]) == ("3", "pending", "usd")
    assert text_of(browser(billed).get("pushes_file")) == text


@pytest.mark.parametrize(
    ("currency", "unit_minor", "value", "text"),
    [
        ("usd", 1, 1234, "12.34 USD"),
        ("jpy", 1, 150, "150 JPY"),
        ("kwd", 10, 30, "0.300 KWD"),
        ("usd", 1, -5, "-0.05 USD"),
    ],
)
def test_amounts_are_written_in_their_currency(currency: str, unit_minor: int, value: int, text: str) -> None:
    assert amount_text(Push(currency=currency, unit_minor=unit_minor, value_units=value)) == text


def test_a_meter_that_was_made_anew_takes_what_the_old_one_left(billed: Till) -> None:
    from django.utils import timezone

    from billing.models import StripeMeter
    from billing.pushing.releasing import release_ready

    push = one_push(billed)
    StripeMeter.objects.update(status="archived")
    Push.objects.update(state="held", why="meter_broken")
    assert release_ready(timezone.now()) == 0
    successor = connect(billed.tenant, stripe_meter_id="mtr_new")
    assert release_ready(timezone.now()) == 1

    push.refresh_from_db()
    assert (push.state, push.replaced_by.meter_id, push.replaced_by.value_units) == ("void", successor.pk, 3)
