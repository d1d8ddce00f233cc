"""I7: no tenant can read, spend or change another tenant's anything, nor test what is live, nor live what is test.

Every URL of the control API and of the portal is walked as everybody but its owner. The list of URLs is the resolver's:
a URL that is new is walked as well, and this test fails until it knows how to. What keys can do at the proxy, and which
Redis keys a call touches, is shown on a whole stack in ``tests/journeys/test_keys_stay_home.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import redis
from django.test import override_settings
from pytest_django import Settings
from rest_framework.test import APIClient

from billing.ledger.books import Books
from billing.ledger.feed import Feed
from billing.ledger.overload import Watermarks
from billing.ledger.recorder import Recorder
from billing.management.commands.recorder import books_parameters
from enforcement.control_client import ControlClient
from enforcement.keys import Mode
from tenants import publishing
from tenants.actions.members import invite_member
from tenants.actions.stopped_models import DayOfModel, stop_overrun_model
from tenants.models import Customer, Tenant
from tests.billing.conftest import Streams, body_of
from tests.factories import (
    ACTOR,
    Holding,
    make_billing,
    make_holding,
    make_push,
    make_recon_row,
    make_tenant,
    make_top_up,
)
from tests.isolation import SCOPES, Desk, Url, content_of, everything_of, urls_under
from tests.people import browser_of, make_member

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

API, PORTAL = "api/v1/", "portal/<slug:slug>/<mode:mode>/"
# Parts of a URL that name a row outright. Others (an external id, a model) name something at every desk.
ROW_IDS = {
    "customer_id",
    "key_id",
    "budget_id",
    "account_id",
    "request_id",
    "event_id",
    "push_id",
    "top_up_id",
    "recon_id",
    "meter_id",
    "member_id",
    "invitation_id",
    "stop_id",
    "hold_id",
}


def hold_for(holding: Holding) -> dict[str, Any]:
    """A call of a customer's that is about to be sent."""
    return {
        "customer": holding.customer.pk, "model": "gpt-4o-mini", "input_tokens_max": 9, "output_tokens_max": 9
    }  # fmt: skip


# A good request's body for every write, the desk's own or another's ids in it.
BODIES: dict[str, Any] = {
    "post customers": lambda desk: {"external_id": f"new-{desk.holding.customer.external_id}"},
    "post customers/import": lambda desk: {"csv": f"external_id,name\n{desk.holding.customer.external_id},Taken\n"},
    "put customers/by-external-id/<path:external_id>": lambda desk: {"name": "Taken"},
    "patch customers/<str:customer_id>": lambda desk: {"name": "Taken"},
    "post customers/<str:customer_id>/erase": lambda desk: {},
    "post keys": lambda desk: {"customer": desk.holding.customer.pk},
    "patch keys/<str:key_id>": lambda desk: {"name": "Taken"},
    "post keys/<str:key_id>/revoke": lambda desk: {},
    "post keys/<str:key_id>/rotate": lambda desk: {},
    "post budgets": lambda desk: {"key": desk.holding.key.row.pk, "limit_usd": "1"},
    "patch budgets/<str:budget_id>": lambda desk: {"limit_usd": "9"},
    "post provider-accounts": lambda desk: {"provider": "openai", "name": "more", "api_key": "sk-0123456789"},
    "patch provider-accounts/<str:account_id>": lambda desk: {"state": "disabled"},
    "post provider-accounts/<str:account_id>/test": lambda desk: {},
    "put prices/<str:provider>/<path:model>": lambda desk: {"input_usd_per_mtok": "7", "output_usd_per_mtok": "7"},
    "post ledger/<str:event_id>/resolve": lambda desk: {"as": "nothing", "reason": "mine now"},
    "post ledger/resolve": lambda desk: {
        "reason": "mine now", "items": [{"event": desk.event_id, "as": "cost", "cost_usd": "0.01"}]
    },
    "post model-aliases": lambda desk: {"alias": "fast", "model": "openai/taken"},
    "post billing/connection": lambda desk: {"api_key": "mine"},
    "post billing/connection/rotate": lambda desk: {"api_key": "mine"},
    "post billing/connection/check": lambda desk: {},
    "post billing/connection/webhook": lambda desk: {},
    "post billing/meters": lambda desk: {"currency": "eur", "meter_id": desk.meter.stripe_meter_id},
    "put billing/customer-maps/<str:customer_id>": lambda desk: {"stripe_customer_id": desk.mapping.stripe_customer_id},
    "post billing/customer-maps/<str:customer_id>/refresh": lambda desk: {},
    "post billing/customer-maps/<str:customer_id>/subscribe": lambda desk: {},
    "post billing/customer-maps/match": lambda desk: {},
    "post billing/customer-maps/import": lambda desk: {
        "csv": f"external_id,stripe_customer_id\n{desk.holding.customer.external_id},cus_taken\n"
    },
    "post billing/pushes/<str:push_id>/retry": lambda desk: {},
    "post billing/prepaid/<str:customer_id>": lambda desk: {},
    "post billing/prepaid/<str:customer_id>/link": lambda desk: {"days": 3},
    "post billing/top-ups": lambda desk: {"customer": desk.holding.customer.pk, "amount_usd": "10.00"},
    "patch billing/dunning": lambda desk: {"past_due": "suspend"},
    "post billing/reconciliation/<str:recon_id>/fix": lambda desk: {"units": 5},
    "post billing/exchange-rates": lambda desk: {"currency": "eur", "day": "2026-11-01", "rate": "0.9"},
    "put billing/push-destinations": lambda desk: {"url": "https://hooks.example/usage"},
    "put retention": lambda desk: {"audit_kept_days": 9, "tags_kept_days": 9},
    "put markup": lambda desk: {"markup_percent": "50"},
    "post stopped-models/<str:stop_id>/resume": lambda desk: {},
    "post holds": lambda desk: hold_for(desk.holding),
    "post holds/<str:hold_id>/settle": lambda desk: {"cost_usd": "0.01"},
    "post holds/<str:hold_id>/release": lambda desk: {"reason": "mine now"},
    "post holds/<str:hold_id>/extend": lambda desk: {},
    "patch tenant": lambda desk: {"output_cap_plain": 78, "markup_percent": "51"},
    "patch settings": lambda desk: {"output_cap_plain": 77, "default_budget": {"limit_usd": "3"}},
}  # fmt: skip
# What lists may be narrowed by, and the part of a URL that names the same.
FILTERS = {
    "customer": "customer_id", "key": "key_id", "account": "account_id", "object_id": "customer_id",
    "actor_id": "key_id", "external_id": "external_id", "model": "model", "provider": "provider",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _as_tests_run(settings: Settings) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    publishing.shared_control.cache_clear()
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield
    publishing.shared_control.cache_clear()


@pytest.fixture
def desks(redis_client: redis.Redis, redis_url: str) -> Iterator[dict[tuple[str, Mode], Desk]]:
    """Acme and Globex in test and live, each with one of everything, published and booked."""
    streams = Streams(redis_client)
    tenants = {name: make_tenant(name) for name in ("Acme", "Globex")}
    streams.open(*(tenant.pk for tenant in tenants.values()))
    made = {(name, mode): _furnish(tenants[name], mode, streams) for name, mode in SCOPES}
    publishing.drain_outbox()
    client = ControlClient(redis_url)
    recorder = Recorder(Books(books_parameters()), Feed(client), shards=range(256), watermarks=Watermarks())
    recorder.drain()
    yield {scope: _with_hold(desk) for scope, desk in made.items()}
    recorder.close()
    client.close()


def _furnish(tenant: Tenant, mode: Mode, streams: Streams) -> Desk:
    holding = make_holding(tenant.name, mode=mode, tenant=tenant)
    Customer.objects.filter(pk=holding.customer.pk).update(name=f"Only {tenant.name} {mode}")
    holding.customer.refresh_from_db()
    request_id = f"req_{tenant.slug}{mode}0000"
    owner = tenant.members.filter(role="owner").first() or make_member(tenant)
    invited = invite_member(
        tenant=tenant, actor=ACTOR, inviter_role="owner", email=f"{mode}@{tenant.slug}.example", role="viewer"
    )
    event_id = streams.append(
        tenant.pk, mode=mode, kind="expired", basis="unresolved", body=_event(holding, request_id),
        draws=f"{holding.budget.pk}:month-1793491200:charge",
    )  # fmt: skip
    day = DayOfModel(holding.price.provider, "sim-stopped", date(2026, 11, 18), calls=10, overruns=10)
    stop = stop_overrun_model(tenant=tenant, mode=mode, found=day)
    assert stop is not None
    meter, mapping = make_billing(holding)
    push = make_push(meter, mapping)
    make_top_up(mapping)
    recon = make_recon_row(push)
    return Desk(
        holding, mode, owner, invited.row, request_id, event_id, stop.row.pk, meter, mapping, push, recon.pk
    )


def _with_hold(desk: Desk) -> Desk:
    answer = send(client_of(desk), "post", "/api/v1/holds", hold_for(desk.holding))
    assert answer.status_code == 201, answer.content
    return replace(desk, hold_id=answer.json()["id"])


def _event(holding: Holding, request_id: str) -> bytes:
    return body_of(
        request_id=request_id,
        customer_id=holding.customer.pk,
        key_id=holding.key.row.pk,
        account_id=holding.account.pk,
        price_id=holding.price.pk,
    )


def send(client: APIClient, method: str, path: str, body: Any = None) -> Any:
    """Make one API request."""
    return getattr(client, method)(path, body, format="json")


def client_of(desk: Desk) -> APIClient:
    """A client with a desk's API key."""
    client = APIClient(raise_request_exception=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {desk.holding.api_key}")
    return client


def body_for(url: Url, method: str, desk: Desk) -> Any:
    """A good body. Fails for a write that nobody taught this test."""
    if method in {"get", "delete"}:
        return None
    name = f"{method} {url.route.removeprefix(API)}"
    assert name in BODIES, f"say in BODIES what a good {name!r} looks like"
    return BODIES[name](desk)


def others(of: tuple[str, Mode]) -> list[tuple[str, Mode]]:
    """Everybody but the owner."""
    return [scope for scope in SCOPES if scope != of]


@pytest.mark.parametrize("victim", SCOPES, ids="-".join)
def test_no_url_of_the_api_shows_or_changes_anothers_rows(
    desks: dict[tuple[str, Mode], Desk], redis_client: redis.Redis, victim: tuple[str, Mode]
) -> None:
    mine = desks[victim]
    before = everything_of(mine, redis_client)
    broken: list[str] = []
    for intruder in others(victim):
        theirs = desks[intruder]
        client = client_of(theirs)
        for url in urls_under(API):
            for method in url.methods:
                broken += [f"{intruder}: {what}" for what in _try(client, url, method, (theirs, mine))]
    assert broken == []
    assert everything_of(mine, redis_client) == before


def _try(client: APIClient, url: Url, method: str, desks: tuple[Desk, Desk]) -> Iterator[str]:
    """Ask at the first desk for the second's rows; say what of them was given."""
    theirs, mine = desks
    path, body = url.filled(mine.ids), body_for(url, method, mine)
    paths = [path]
    if method == "get" and not url.parts:
        paths += [f"{path}?{name}={mine.ids[part]}" for name, part in FILTERS.items()]
    for each in paths:
        answer = send(client, method, each, body)
        text = content_of(answer)
        named = f"{method} {each}: {answer.status_code}"
        if answer.status_code >= 500:
            yield named
        if ROW_IDS & set(url.parts) and (answer.status_code, answer.json()["code"]) != (404, "not_found"):
            yield f"{named} where 404 is due"
        refers = any(mark in str(body) for mark in mine.marks)
        did_nothing = refers and answer.status_code == 200 and answer.json().get("resolved") == 0
        if refers and not did_nothing and not 400 <= answer.status_code < 500:
            yield f"{named} took what refers to another's row"
        hidden = mine.hidden_from(theirs)
        told = {mark for mark in hidden if mark in text and mark not in path and mark not in str(body)}
        if told:
            yield f"{named} tells {told}"


@pytest.mark.parametrize("owner", SCOPES, ids="-".join)
def test_the_owner_finds_by_the_same_walk_everything_that_others_must_not(
    desks: dict[tuple[str, Mode], Desk], owner: tuple[str, Mode]
) -> None:
    mine = desks[owner]
    client, told = client_of(mine), ""
    for url in urls_under(API):
        if "get" in url.methods:
            answer = send(client, "get", url.filled(mine.ids))
            assert (url.route, answer.status_code) == (url.route, 200)
            told += content_of(answer)
    assert {mark for mark in mine.marks if mark not in told} == set()


def test_without_a_key_no_url_of_the_api_answers(desks: dict[tuple[str, Mode], Desk]) -> None:
    mine = desks["Acme", "test"]
    for url in urls_under(API):
        for method in url.methods:
            answer = send(APIClient(), method, url.filled(mine.ids), body_for(url, method, mine))
            assert (url.route, method, answer.status_code) == (url.route, method, 401)


@pytest.mark.parametrize("kind", ["customer key", "server key", "typo", "other tenant's tag", "other mode"])
def test_no_other_kind_of_key_opens_the_api(desks: dict[tuple[str, Mode], Desk], kind: str) -> None:
    mine, theirs = desks["Acme", "test"], desks["Globex", "live"]
    good = mine.holding.api_key
    tag, other_tag = good.split("_")[3], theirs.holding.api_key.split("_")[3]
    text = {
        "customer key": mine.holding.key.secret,
        "server key": good.replace("fbx_ak", "fbx_sk"),
        "typo": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "other tenant's tag": good.replace(tag, other_tag),
        "other mode": good.replace("_test_", "_live_"),
    }[kind]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    for url in urls_under(API):
        answer = send(client, url.methods[0], url.filled(mine.ids), body_for(url, url.methods[0], mine))
        assert (url.route, answer.status_code) == (url.route, 401)


@pytest.mark.parametrize("victim", SCOPES, ids="-".join)
def test_no_page_of_the_portal_shows_or_changes_anothers_rows(
    desks: dict[tuple[str, Mode], Desk], redis_client: redis.Redis, victim: tuple[str, Mode]
) -> None:
    mine = desks[victim]
    before = everything_of(mine, redis_client)
    broken: list[str] = []
    for intruder in others(victim):
        for url in urls_under(PORTAL):
            broken += [f"{intruder}: {what}" for what in _browse(desks[intruder], url, mine)]
    assert broken == []
    assert everything_of(mine, redis_client) == before


def _browse(theirs: Desk, url: Url, mine: Desk) -> Iterator[str]:
    """Open and send a page at the victim's desk, and at one's own desk with the victim's rows."""
    browser = browser_of(theirs.owner).client
    own = {"slug": theirs.holding.tenant.slug, "mode": theirs.mode}
    desks = [own] if theirs.is_of(mine) else [own, {"slug": mine.holding.tenant.slug, "mode": mine.mode}]
    # Members and invitations are the tenant's, in both modes.
    rows = (ROW_IDS - {"member_id", "invitation_id"} if theirs.is_of(mine) else ROW_IDS) & set(url.parts)
    form = {
        "event": mine.event_id,
        "how": "nothing",
        "reason": "mine now",
        "confirmed": "yes",
        "limit_usd": "9",
    }
    for place in desks:
        path = url.filled({**mine.ids, **place})
        if not rows and place is own and url.parts[2:]:
            continue
        for method in ("get", "post"):
            answer = getattr(browser, method)(path, form if method == "post" else None)
            named = f"{method} {path}: {answer.status_code}"
            if (rows or place is not own) and answer.status_code not in {404, 405}:
                yield f"{named} where 404 is due"
            text = content_of(answer)
            told = {mark for mark in mine.hidden_from(theirs) if mark in text and mark not in path}
            if told - ({mine.event_id} if method == "post" else set()):
                yield f"{named} tells {told}"
