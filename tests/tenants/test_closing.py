"""The end of a tenant, and of what it keeps no longer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from enforcement.control import Control
from tenants import reach
from tenants.actions.closing import close_tenant, forget_what_is_due, set_retention
from tenants.errors import InvalidInput
from tenants.models import AuditEntry, Key, ProviderAccount
from tests.factories import ACTOR, Holding
from tests.tenants.conftest import Api


@pytest.mark.django_db
def test_a_closed_tenant_has_no_key_and_no_credential_left(
    acme: Holding, globex: Holding, api: Api, open_shard: Callable[[str], Control]
) -> None:
    open_shard(acme.tenant.pk)
    with pytest.raises(CommandError, match="--yes"):
        call_command("close_tenant", acme.tenant.slug)
    call_command("close_tenant", acme.tenant.slug, "--yes")
    assert not Key.objects.for_tenant(acme.tenant).filter(revoked_at=None).exists()
    assert not ProviderAccount.objects.for_tenant(acme.tenant).exclude(credential="").exists()
    assert api(acme.api_key).get("/api/v1/customers").status_code == 401
    assert close_tenant(tenant=acme.tenant, actor=ACTOR).entries == ()
    assert AuditEntry.objects.for_tenant(acme.tenant).filter(action="tenant.close").count() == 1
    assert api(globex.api_key).get("/api/v1/customers").status_code == 200


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_what_a_tenant_keeps_no_longer_goes_and_nothing_else(acme: Holding, globex: Holding) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "UPDATE tenants_auditentry SET at = now() - interval '40 days' WHERE action = 'budget.create'"
        )
        for tenant_id in (acme.tenant.pk, globex.tenant.pk):
            for tag_set, days in (("old", 40), ("new", 1)):
                cursor.execute('INSERT INTO tag_set VALUES (%s, %s, \'{"a": "b"}\')', [tenant_id, tag_set])
                cursor.execute(_ROW, [f"{tag_set}-{tenant_id}", tenant_id, tag_set, days])
    set_retention(tenant=acme.tenant, actor=ACTOR, audit_kept_days=30, tags_kept_days=30)
    assert forget_what_is_due() == 2
    old = AuditEntry.objects.filter(action="budget.create")
    assert [entry.tenant_id for entry in old] == [globex.tenant.pk]
    assert AuditEntry.objects.for_tenant(acme.tenant).filter(action="tenant.set_retention").exists()
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT tenant_id, tag_set_id FROM tag_set WHERE tags = '{}'::jsonb")
        assert cursor.fetchall() == [(acme.tenant.pk, "old")]


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_app_can_forget_no_entry_that_its_tenant_keeps(acme: Holding, globex: Holding) -> None:
    with connections["default"].cursor() as cursor, reach.only(acme.tenant.pk):
        cursor.execute("SELECT farebox_forget_audit(%s, now())", [acme.tenant.pk])
        assert cursor.fetchone() == (0,)
        with pytest.raises(Exception, match="of another tenant"):
            cursor.execute("SELECT farebox_forget_audit(%s, now())", [globex.tenant.pk])


@pytest.mark.django_db
def test_the_api_says_how_long_things_are_kept(acme: Holding, api: Api) -> None:
    client, given = api(acme.api_key), {"audit_kept_days": 400, "tags_kept_days": 90}
    assert client.get("/api/v1/retention").json() == {"audit_kept_days": 0, "tags_kept_days": 0}
    assert client.put("/api/v1/retention", given, format="json").json() == given
    assert client.get("/api/v1/retention").json() == given
    assert client.put("/api/v1/retention", {"audit_kept_days": -1}, format="json").status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("days", [-1, 40_000])
def test_a_span_that_is_none_is_refused(acme: Holding, days: int) -> None:
    with pytest.raises(InvalidInput, match="audit_kept_days"):
        set_retention(tenant=acme.tenant, actor=ACTOR, audit_kept_days=days, tags_kept_days=0)


_ROW = """
INSERT INTO ledger_row (event_id, month, kind, basis, tenant_id, mode, shard, customer_id, tag_set_id, started_at,
    booked_at, epoch, seq, request_id, hold_id, cost_nanousd, charge_nanousd)
SELECT %s, date_trunc('month', now())::date, 'settled', 'reported', %s, 'test', 1, 'cus_x', %s,
    now() - make_interval(days => %s), now(), 1, 1, 'req_1', 'h', 0, 0
"""
