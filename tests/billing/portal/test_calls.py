"""Calls on pages: one line a call, newest first, only one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import override_settings
from pytest_django import Settings

from billing.ledger.recorder import Recorder
from billing.portal.calls import newest_calls
from tenants import publishing
from tests.billing.conftest import STARTED_MS, Streams, body_of
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


@pytest.fixture
def acme(streams: Streams) -> Holding:
    holding = make_holding("Acme")
    streams.open(holding.tenant.pk)
    publishing.drain_outbox()
    return holding


def book(streams: Streams, acme: Holding, count: int) -> None:
    for number in range(count):
        at_ms = STARTED_MS + number * 1_000
        body = body_of(
            request_id=f"req_{number}", customer_id=acme.customer.pk, started_ms=at_ms, ended_ms=at_ms + 9
        )
        streams.append(acme.tenant.pk, body=body)


def test_attempts_and_corrections_of_a_call_are_one_line(
    acme: Holding, streams: Streams, recorder: Recorder
) -> None:
    hold_id = streams.hold_id()
    body = body_of(request_id="req_x", customer_id=acme.customer.pk)
    expired = streams.append(
        acme.tenant.pk,
        hold_id=hold_id,
        kind="expired",
        basis="unresolved",
        body=body,
        cost=9_000,
        charge=9_900,
    )
    streams.append(
        acme.tenant.pk,
        hold_id=hold_id,
        kind="correction",
        corrects=expired,
        body=body,
        cost=-8_000,
        charge=-8_800,
    )
    recorder.drain()

    [call] = newest_calls(acme.tenant, acme.tenant.scope("test"), count=5).calls

    assert (call.cost_nanousd, call.charge_nanousd, call.last.basis) == (1_000, 1_100, "reported")
    assert call.customer == acme.customer


def test_older_calls_follow_without_gaps(acme: Holding, streams: Streams, recorder: Recorder) -> None:
    book(streams, acme, 5)
    recorder.drain()
    scope = acme.tenant.scope("test")

    first = newest_calls(acme.tenant, scope, count=2)
    second = newest_calls(acme.tenant, scope, count=2, older_than=first.older)
    third = newest_calls(acme.tenant, scope, count=2, older_than=second.older)

    seen = [call.first.request_id for page in (first, second, third) for call in page.calls]
    assert seen == ["req_4", "req_3", "req_2", "req_1", "req_0"]
    assert third.older == ""


def test_pages_show_calls_to_their_own_tenant_alone(
    acme: Holding, streams: Streams, recorder: Recorder
) -> None:
    book(streams, acme, 1)
    recorder.drain()
    ours, theirs = (
        browser_of(make_member(acme.tenant)),
        browser_of(make_member(make_holding("Globex").tenant)),
    )
    for name, ids in (("overview", {}), ("requests", {}), ("customer", {"customer_id": acme.customer.pk})):
        assert "req_0" in text_of(ours.get(name, **ids))
    assert "req_0" not in text_of(theirs.get("requests"))
    assert ours.get("request", request_id="req_0").status_code == 200
    assert theirs.get("request", request_id="req_0").status_code == 404


def test_a_mangled_place_in_the_list_begins_at_its_head(
    acme: Holding, streams: Streams, recorder: Recorder
) -> None:
    book(streams, acme, 1)
    recorder.drain()
    browser = browser_of(make_member(acme.tenant))
    for older in ("x", "2026-13-45T00:00:00Z~a", "~", "2026-11-18T00:00:00~a"):
        assert "req_0" in text_of(browser.get("requests", query=f"?older={older}"))


def test_the_customers_page_shows_quote_cost_and_charge(
    acme: Holding, streams: Streams, recorder: Recorder
) -> None:
    book(streams, acme, 1)
    recorder.drain()
    page = text_of(
        browser_of(make_member(acme.tenant)).get("customer_live", customer_id=acme.customer.pk, htmx=True)
    )
    whole = text_of(
        browser_of(make_member(acme.tenant, "viewer")).get("customer", customer_id=acme.customer.pk)
    )
    assert "not yet" in whole
    plain = re.sub(r"<[^>]+>", "", page)
    for shown in ("$0.000009900", "$0.000001", "$0.000001100", "exact", "reported", "complete"):
        assert shown in plain
    assert 'hx-swap-oob="true"' in page


def test_a_keys_last_use_is_read_from_the_books(acme: Holding, streams: Streams, recorder: Recorder) -> None:
    key_id = acme.key.row.pk
    streams.append(acme.tenant.pk, body=body_of(customer_id=acme.customer.pk, key_id=key_id))
    recorder.drain()
    page = text_of(browser_of(make_member(acme.tenant)).get("customer", customer_id=acme.customer.pk))
    assert "18 Nov, 11:00" in page
