"""Erasing a customer: not a byte of who it was stays in PostgreSQL, in Redis or in a log; every amount does."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.apps import apps
from django.core.management import call_command
from rest_framework.test import APIClient

from billing.erasing import registry
from billing.erasing.registry import FIELDS, TELLING
from billing.ledger.recorder import Recorder
from billing.models import CustomerMap, LedgerRow, Push, TagSet
from config.logging import JsonFormatter
from enforcement.control_client import ControlClient
from tenants import publishing
from tenants.models import AuditEntry, Customer, Key
from tests.billing.conftest import STARTED_MS, Streams, body_of, sql
from tests.factories import (
    Holding,
    make_billing,
    make_budget,
    make_customer,
    make_holding,
    make_key,
    make_push,
)
from tests.plugin import POSTGRES

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

EXTERNAL_ID, NAME, EMAIL, TAG = (
    "person-77ab-ext",
    "Philippa Oakenshaw",
    "philippa@oakenshaw.example",
    "desk-of-philippa",
)
BUYER = "cus_StripePhilippa77"
WORDS = (EXTERNAL_ID, NAME, "Oakenshaw", EMAIL, TAG, BUYER)


class _Lines(logging.Handler):
    """Keeps what the process would have printed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.text += self.format(record) + "\n"


@pytest.fixture
def acme(redis_client: redis.Redis) -> Holding:
    publishing.shared_control.cache_clear()
    return make_holding("Acme")


@pytest.fixture
def api(acme: Holding) -> APIClient:
    client = APIClient(raise_request_exception=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    return client


@pytest.fixture
def log() -> Any:
    lines, root = _Lines(), logging.getLogger()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(lines)
    root.setLevel(level)


@pytest.fixture
def person(acme: Holding, api: APIClient, streams: Streams, recorder: Recorder) -> Customer:
    """A customer with something personal wherever there is room for it."""
    streams.open(acme.tenant.pk)
    given = {"external_id": EXTERNAL_ID, "name": NAME, "metadata": {"email": EMAIL}}
    made = api.post("/api/v1/customers", given, format="json", HTTP_IDEMPOTENCY_KEY=f"make-{EXTERNAL_ID}")
    customer = Customer.objects.select_related("tenant").get(pk=made.json()["id"])
    api.patch(f"/api/v1/customers/{customer.pk}", {"name": f"{NAME} Ltd"}, format="json")
    make_key(acme.tenant, customer, name=f"for {NAME}")
    make_budget(acme.tenant, customer, name=f"{NAME}'s month")
    connection = make_billing(acme)[0].connection
    mapping = CustomerMap.objects.create(
        tenant=acme.tenant, mode="test", connection=connection, customer=customer, stripe_customer_id=BUYER,
        subscription_id="sub_StripePhilippa77", state="no_subscription",
    )  # fmt: skip
    push = make_push(connection.meters.get(), mapping, identifier="um1-person")
    Push.objects.filter(pk=push.pk).update(
        stripe_customer_id=BUYER,
        first_attempt_at="2026-11-18T12:00:00Z",
        state="confirmed",
        detail=f"No {BUYER}",
    )
    tags = {"desk": TAG}
    for number in range(3):
        body = body_of(customer_id=customer.pk, request_id=f"req_{number}", tags=tags)
        streams.append(acme.tenant.pk, body=body, draws="")
    streams.append(acme.tenant.pk, body=body_of(customer_id=acme.customer.pk, request_id="req_9"), draws="")
    streams.append(
        acme.tenant.pk, dead=True, body=b"\xff broken " + f"{customer.pk} {TAG} {EMAIL}".encode(), draws=""
    )
    hold = f"{{s{acme.tenant.scope('test').shard}}}:{acme.tenant.pk}:test:hold:h1"
    streams.client.hset(
        hold, mapping={"state": "settled", "body": body_of(customer_id=customer.pk, tags=tags)}
    )
    recorder.drain()
    api.get(f"/api/v1/customers/by-external-id/{EXTERNAL_ID}x")  # a 404 whose address names the person
    publishing.drain_outbox()
    return customer


def _erase(api: APIClient, customer: Customer, **given: Any) -> Any:
    return api.post(f"/api/v1/customers/{customer.pk}/erase", given, format="json")


def _dump() -> str:
    command = [str(POSTGRES._binary("pg_dump")), "--data-only", os.environ["DATABASE_OWNER_URL"]]
    done = subprocess.run(command, capture_output=True, check=False)  # our own command line
    assert done.returncode == 0, done.stderr
    # A dump writes bytes as hex: they are told beside it.
    letters = [bytes(raw) for (raw,) in sql("SELECT raw FROM dead_letter", alias="owner")]
    return done.stdout.decode() + repr(letters)


def _redis(client: redis.Redis) -> bytes:
    """Every key with its value, and with the bytes as they are kept."""
    found = b""
    for key in client.scan_iter("*"):
        kind = client.type(key)
        read: dict[Any, Callable[[Any], Any]] = {
            b"hash": client.hgetall, b"string": client.get, b"stream": client.xrange, b"set": client.smembers,
            b"zset": lambda name: client.zrange(name, 0, -1), b"list": lambda name: client.lrange(name, 0, -1),
        }  # fmt: skip
        found += key + repr(read[kind](key)).encode() + (client.dump(key) or b"")
    return found


def _totals() -> list[Any]:
    tables = {"ledger_row": "charge_nanousd", "usage_rollup": "charge_nanousd", "push": "charge_nanousd"}
    return [
        sql(f"SELECT customer_id, count(*), sum({column}) FROM {table} GROUP BY 1 ORDER BY 1", alias="owner")
        for table, column in tables.items()
    ]


def test_not_a_byte_of_who_it_was_stays_and_every_amount_does(
    acme: Holding, person: Customer, api: APIClient, redis_client: redis.Redis, log: _Lines
) -> None:
    before, dump = _totals(), _dump()
    for word in WORDS:
        assert word in dump, f"the test has to put {word!r} somewhere"
    assert TAG.encode() in _redis(redis_client)
    redis_client.hset("farebox:none", "x", "y")

    answer = _erase(api, person, force=True)

    assert answer.status_code == 200, answer.content
    after, kept = _dump(), _redis(redis_client)
    assert [word for word in WORDS if word in after] == []
    assert [word for word in WORDS if word.encode() in kept] == []
    assert [word for word in WORDS if word in log.text] == []
    assert _totals() == before
    # What is another's stays: its tags, its name.
    assert TagSet.objects.filter(tags__feature="search").exists()
    assert acme.customer.name in after
    call_command("verify_ledger")


def test_the_erased_is_shut_for_good(acme: Holding, person: Customer, api: APIClient) -> None:
    assert _erase(api, person, force=True).status_code == 200
    assert not Key.objects.filter(customer=person, revoked_at=None).exists()
    row = Customer.objects.get(pk=person.pk)
    assert (row.state, row.name, row.metadata) == ("suspended", "", {})
    again = api.post("/api/v1/customers", {"external_id": EXTERNAL_ID}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    resumed = api.patch(f"/api/v1/customers/{person.pk}", {"state": "active"}, format="json")
    assert (resumed.status_code, resumed.json()["code"]) == (409, "wrong_state")
    erased_at = _erase(api, person).json()["erased_at"]
    assert _erase(api, person).json()["erased_at"] == erased_at
    noted = AuditEntry.objects.filter(action="customer.erase", object_id=person.pk)
    assert noted.count() == 1


def test_what_has_not_ended_is_named_and_the_customer_is_shut_meanwhile(
    acme: Holding, person: Customer, api: APIClient, streams: Streams, recorder: Recorder
) -> None:
    body = body_of(customer_id=person.pk, request_id="req_late")
    streams.append(acme.tenant.pk, body=body, basis="unresolved", kind="expired", draws="")

    refused = _erase(api, person, force=True)
    assert (refused.status_code, refused.json()["code"]) == (409, "erasure_pending")
    assert [each["what"] for each in refused.json()["pending"]] == ["unrecorded_usage"]
    assert not Key.objects.filter(customer=person, revoked_at=None).exists()

    recorder.drain()
    refused = _erase(api, person)
    assert {each["what"] for each in refused.json()["pending"]} == {
        "unresolved_rows", "unsealed_usage", "entries_kept_for_an_hour",
    }  # fmt: skip
    assert Customer.objects.get(pk=person.pk).external_id == EXTERNAL_ID
    assert _erase(api, person, force=True).status_code == 200
    entry = AuditEntry.objects.get(action="customer.erase", object_id=person.pk)
    assert entry.after is not None
    assert set(entry.after["given_up"]) == {"unresolved_rows", "unsealed_usage", "entries_kept_for_an_hour"}


def test_an_open_hold_cannot_be_forced(
    acme: Holding, person: Customer, api: APIClient, redis_url: str, streams: Streams
) -> None:
    scope = acme.tenant.scope("test")
    hold = scope.hold("h_open")
    streams.client.hset(hold, mapping={
        "state": "dispatched", "epoch": 1, "tenant": acme.tenant.pk, "mode": "test", "draws": "", "flight": "",
        "idem": "", "cost": 1, "charge": 1, "body": body_of(customer_id=person.pk),
    })  # fmt: skip
    streams.client.zadd(f"{{s{scope.shard}}}:deadlines", {hold: STARTED_MS})
    client = ControlClient(redis_url)
    refused = _erase(api, person, force=True).json()
    client.close()
    assert refused["pending"] == [{"what": "open_holds", "ids": ["h_open"]}]


def test_the_export_holds_everything_and_no_secret(acme: Holding, person: Customer, api: APIClient) -> None:
    answer: Any = api.get(f"/api/v1/customers/{person.pk}/export")
    text = answer.getvalue().decode()
    told = json.loads(text)
    for word in WORDS:
        assert word in text
    assert len(told["ledger_row"]) == LedgerRow.objects.filter(customer_id=person.pk).count() == 3
    assert Key.objects.get(customer=person).digest not in text
    assert acme.customer.pk not in text
    assert AuditEntry.objects.filter(action="customer.export", object_id=person.pk).exists()


def test_another_tenants_customer_is_neither_exported_nor_erased(
    acme: Holding, person: Customer, api: APIClient
) -> None:
    other = make_customer(make_holding("Globex").tenant, "g-2")
    assert api.get(f"/api/v1/customers/{other.pk}/export").status_code == 404
    assert _erase(api, other, force=True).status_code == 404
    refused = "SELECT farebox_erase_letters(%s, %s)"
    from tenants import reach

    with reach.only(acme.tenant.pk), pytest.raises(Exception, match="of another tenant"):
        sql(refused, other.tenant_id, other.pk)


def test_every_field_that_may_tell_who_somebody_is_has_its_line() -> None:
    lines = {(held.model, held.field) for held in FIELDS} | registry.NOT_TELLING
    forgotten = [
        (model._meta.label, field.name)
        for label in ("tenants", "billing")
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.concrete_fields
        if field.name in TELLING and (model._meta.label, field.name) not in lines
    ]
    assert forgotten == [], "say in billing/erasing/registry.py what erasing does to these"


def test_every_line_is_about_a_field_there_is() -> None:
    for held in FIELDS:
        assert apps.get_model(held.model)._meta.get_field(held.field)
        if held.path:
            apps.get_model(held.model)._default_manager.filter(**{f"{held.path}__in": []})
