"""The audit log: who did what, from what to what, when and from where; nobody changes it, and secrets are not in it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from enforcement.control import Control
from tenants.models import AuditEntry
from tests.factories import Holding, make_api_key
from tests.people import PASSWORD, browser_of, make_member, text_of
from tests.tenants.conftest import Api

pytestmark = pytest.mark.django_db


def _entries(holding: Holding, action: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.for_tenant(holding.tenant).filter(action=action))


def test_a_change_tells_before_after_and_from_where(
    acme: Holding, api: Api, control: Control, settings: Any
) -> None:
    settings.FAREBOX_TRUSTED_PROXIES = ("127.0.0.0/8",)
    client = api(acme.api_key)
    client.patch(
        "/api/v1/settings",
        {"output_cap_plain": 7777},
        format="json",
        HTTP_X_FORWARDED_FOR="6.6.6.6, 203.0.113.9",
    )
    entry = _entries(acme, "settings.change")[0]
    assert (entry.before, entry.after) == ({"output_cap_plain": 4096}, {"output_cap_plain": 7777})
    assert (entry.address, entry.actor_kind) == ("203.0.113.9", "api_key")


def test_what_is_done_outside_of_requests_has_no_address(acme: Holding) -> None:
    assert {entry.address for entry in AuditEntry.objects.for_tenant(acme.tenant)} == {""}


def test_no_secret_is_in_any_entry(acme: Holding, api: Api, control: Control) -> None:
    client = api(acme.api_key)
    secret = "sk-very-secret-0123456789"  # made up
    path = f"/api/v1/provider-accounts/{acme.account.pk}"
    assert client.patch(path, {"api_key": secret}, format="json").status_code in {200, 202}
    issued = client.post("/api/v1/keys", {"customer": acme.customer.pk}, format="json").json()["key"]
    told = str(list(AuditEntry.objects.for_tenant(acme.tenant).values_list("before", "after")))
    for hidden in (secret, issued, acme.key.secret, acme.api_key):
        assert hidden not in told
    changed = _entries(acme, "provider_account.change")[0].after or {}
    assert changed["credential"] == "rotated"


def test_a_secret_that_a_repeated_request_shows_again_is_noted(
    acme: Holding, api: Api, control: Control
) -> None:
    client, given = api(acme.api_key), {"customer": acme.customer.pk}
    first = client.post("/api/v1/keys", given, format="json", HTTP_IDEMPOTENCY_KEY="once")
    assert _entries(acme, "secret.show_again") == []
    again = client.post("/api/v1/keys", given, format="json", HTTP_IDEMPOTENCY_KEY="once")
    assert again.json()["key"] == first.json()["key"]
    assert [entry.object_id for entry in _entries(acme, "secret.show_again")] == [first.json()["id"]]


def test_sign_ins_failures_and_sign_outs_are_noted(acme: Holding, globex: Holding) -> None:
    member, client = make_member(acme.tenant), Client(REMOTE_ADDR="198.51.100.7")
    login = reverse("account_login")
    client.post(login, {"login": member.user.email, "password": "wrong"})
    client.post(login, {"login": member.user.email, "password": PASSWORD})
    client.post(reverse("account_logout"))
    noted = AuditEntry.objects.for_tenant(acme.tenant).filter(actor_kind="member").order_by("pk")
    assert [(entry.action, entry.address) for entry in noted] == [
        ("member.sign_in_refused", "198.51.100.7"),
        ("member.sign_in", "198.51.100.7"),
        ("member.sign_out", "198.51.100.7"),
    ]
    assert not AuditEntry.objects.for_tenant(globex.tenant).filter(actor_kind="member").exists()


def test_the_log_is_narrowed_and_comes_as_csv_that_streams(acme: Holding, globex: Holding, api: Api) -> None:
    client = api(acme.api_key)
    found = client.get("/api/v1/audit-log?action=key.&object_kind=key").json()["data"]
    assert {entry["action"] for entry in found} == {"key.create"}
    assert client.get("/api/v1/audit-log?from=2030-01-01").json()["data"] == []
    assert client.get("/api/v1/audit-log?from=soon").status_code == 400
    answer: Any = client.get("/api/v1/audit-log/export")
    assert answer.streaming
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert {row["object_id"] for row in rows} >= {acme.customer.pk, acme.budget.pk, acme.account.pk}
    assert globex.customer.pk not in str(rows)
    # The download is an entry itself, made before the rows are read.
    assert rows[0]["action"] == "export.download"


def test_a_spreadsheet_takes_no_cell_for_a_formula(acme: Holding, api: Api) -> None:
    AuditEntry.objects.create(
        tenant=acme.tenant, mode="test", actor_kind="api_key", actor_id="=1+1", action="x", object_kind="x"
    )
    answer: Any = api(acme.api_key).get("/api/v1/audit-log/export")
    assert b"'=1+1" in b"".join(answer.streaming_content)


def test_the_page_shows_entries_to_those_who_may_see_them(acme: Holding) -> None:
    owner = browser_of(make_member(acme.tenant))
    page = text_of(owner.get("audit", query="?action=budget."))
    assert "budget.create" in page
    assert "customer.create" not in page
    assert browser_of(make_member(acme.tenant, "finance")).get("audit").status_code == 403


def test_a_key_without_the_scope_is_refused(acme: Holding, api: Api) -> None:
    client = api(make_api_key(acme.tenant, scopes=("customers:read",)))
    assert client.get("/api/v1/audit-log").status_code == 403
    assert client.get("/api/v1/audit-log/export").status_code == 403
