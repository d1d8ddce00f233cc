"""Unresolved money on the page, in Redis and in the books: resolved once, by somebody with a name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.test import override_settings
from pytest_django import Settings

from billing.ledger.queries import differences
from billing.ledger.recorder import Recorder
from billing.ledger.resolving import Resolution, resolve_rows
from billing.ledger.unresolved import unresolved_rows, unresolved_sum
from billing.models import LedgerRow
from metering.money import NanoUsd
from metering.windows import window_at
from tenants import publishing
from tenants.actions.recording import SYSTEM
from tenants.models import AuditEntry
from tests.billing.conftest import STARTED_MS, Streams, body_of
from tests.factories import Holding, make_holding
from tests.people import Browser, browser_of, make_member, text_of

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

QUOTE_COST, QUOTE_CHARGE = 9_000, 9_900


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


def expire_one(streams: Streams, acme: Holding, redis_client: redis.Redis, *, number: int = 1) -> str:
    """Append what an expiry appends, and count it on the budget as the script would."""
    window = window_at(acme.budget.window, STARTED_MS).window_id
    record = acme.tenant.scope("test").budget(acme.budget.pk)
    redis_client.hincrby(record, f"s:{window}", QUOTE_CHARGE)
    body = body_of(request_id=f"req_{number}", customer_id=acme.customer.pk, markup_bp=1_000)
    return streams.append(
        acme.tenant.pk,
        kind="expired",
        basis="unresolved",
        cost=QUOTE_COST,
        charge=QUOTE_CHARGE,
        draws=f"{acme.budget.pk}:{window}:charge",
        body=body,
    )


def spent(acme: Holding, redis_client: redis.Redis) -> int:
    window = window_at(acme.budget.window, STARTED_MS).window_id
    return int(redis_client.hget(acme.tenant.scope("test").budget(acme.budget.pk), f"s:{window}") or 0)


def finance(acme: Holding) -> Browser:
    return browser_of(make_member(acme.tenant, "finance"))


def test_a_call_that_the_provider_never_billed_is_booked_as_nothing(
    acme: Holding, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    event_id = expire_one(streams, acme, redis_client)
    recorder.drain()
    browser = finance(acme)
    assert acme.customer.name.split("'")[0] in text_of(browser.get("unresolved"))

    asked = browser.post(
        "unresolved", {"event": event_id, "how": "nothing", "reason": "the bill of November"}
    )
    assert "Resolve 1 call?" in text_of(asked)
    assert spent(acme, redis_client) == QUOTE_CHARGE
    browser.post(
        "unresolved",
        {"event": event_id, "how": "nothing", "reason": "the bill of November", "confirmed": "yes"},
    )
    recorder.drain()

    assert spent(acme, redis_client) == 0
    correction = LedgerRow.objects.get(corrects=event_id)
    assert (correction.cost_nanousd, correction.charge_nanousd) == (-QUOTE_COST, -QUOTE_CHARGE)
    assert (correction.basis, correction.customer_id, correction.end) == (
        "none",
        acme.customer.pk,
        "resolved",
    )
    assert differences() == []
    assert "Nothing unresolved" in text_of(browser.get("unresolved"))
    entry = AuditEntry.objects.get(action="ledger.resolve")
    assert (entry.object_id, entry.actor_name) == (event_id, "finance@acme.example")
    assert entry.after["reason"] == "the bill of November"
    assert "Correction" in text_of(browser.get("request", request_id="req_1"))


def test_a_known_cost_is_charged_with_the_rows_own_markup(
    acme: Holding, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    events = [expire_one(streams, acme, redis_client, number=number) for number in (1, 2)]
    recorder.drain()

    finance(acme).post(
        "unresolved",
        {"event": events, "how": "known", "cost_usd": "0.000004", "reason": "a bill", "confirmed": "yes"},
    )
    recorder.drain()

    assert spent(acme, redis_client) == 2 * 4_400
    assert unresolved_sum(acme.tenant.scope("test")) == (0, 0)
    assert sum(LedgerRow.objects.values_list("charge_nanousd", flat=True)) == 2 * 4_400


def test_two_people_at_once_resolve_it_once(
    acme: Holding, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    expire_one(streams, acme, redis_client)
    recorder.drain()
    rows = list(unresolved_rows(acme.tenant.scope("test")))

    nothing = [Resolution(row, NanoUsd(0)) for row in rows]
    first = resolve_rows(tenant=acme.tenant, resolutions=nothing, actor=SYSTEM, reason="a bill")
    second = resolve_rows(tenant=acme.tenant, resolutions=nothing, actor=SYSTEM, reason="a bill")
    recorder.drain()

    assert [each.outcome for each in (*first, *second)] == ["resolved", "moved"]
    assert spent(acme, redis_client) == 0
    assert LedgerRow.objects.filter(kind="correction").count() == 1
    assert AuditEntry.objects.filter(action="ledger.resolve_failed").count() == 1


def test_while_enforcement_is_closed_nothing_is_resolved(
    acme: Holding, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    event_id = expire_one(streams, acme, redis_client)
    recorder.drain()
    redis_client.flushall()

    browser = finance(acme)
    browser.post(
        "unresolved",
        {"event": event_id, "how": "nothing", "reason": "the bill of November", "confirmed": "yes"},
    )

    assert "Not resolved: 1" in text_of(browser.get("unresolved"))
    assert unresolved_sum(acme.tenant.scope("test")) == (1, QUOTE_CHARGE)


def test_another_tenants_money_cannot_be_resolved(
    acme: Holding, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    event_id = expire_one(streams, acme, redis_client)
    recorder.drain()
    globex = make_holding("Globex")

    browser = finance(globex)
    browser.post(
        "unresolved",
        {"event": event_id, "how": "nothing", "reason": "the bill of November", "confirmed": "yes"},
    )

    assert "resolved already" in text_of(browser.get("unresolved"))
    assert not LedgerRow.objects.filter(kind="correction").exists()


@pytest.mark.parametrize("role", ["viewer", "developer", "support"])
def test_other_roles_look_on(
    role: str, acme: Holding, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    event_id = expire_one(streams, acme, redis_client)
    recorder.drain()
    browser = browser_of(make_member(acme.tenant, role))
    assert "can resolve these" in text_of(browser.get("unresolved"))
    answer = browser.post(
        "unresolved",
        {"event": event_id, "how": "nothing", "reason": "the bill of November", "confirmed": "yes"},
    )
    assert answer.status_code == 403


def test_choosing_nothing_is_said(
    acme: Holding, streams: Streams, recorder: Recorder, redis_client: redis.Redis
) -> None:
    expire_one(streams, acme, redis_client)
    recorder.drain()
    browser = finance(acme)
    assert "Choose at least one call" in text_of(
        browser.post("unresolved", {"how": "nothing", "reason": "the bill of November"})
    )
    assert "Write what the provider bills" in text_of(browser.post("unresolved", {"how": "known"}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"how": "nothing"}, "This field is required"),
        ({"how": "known", "cost_usd": "-1", "reason": "a bill"}, "never negative"),
        ({"how": "known", "cost_usd": "10001", "reason": "a bill"}, "at most $10000.00"),
    ],
)
def test_what_cannot_be_is_said(
    given: dict[str, str],
    said: str,
    acme: Holding,
    streams: Streams,
    recorder: Recorder,
    redis_client: redis.Redis,
) -> None:
    event_id = expire_one(streams, acme, redis_client)
    recorder.drain()
    assert said in text_of(finance(acme).post("unresolved", {"event": event_id, "confirmed": "yes", **given}))
    assert not AuditEntry.objects.filter(action="ledger.resolve").exists()
