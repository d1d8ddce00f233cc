"""Row-level security: what PostgreSQL hides, whatever the code forgets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import ProgrammingError, connection, connections, transaction
from django.db.models import QuerySet
from rest_framework.test import APIClient

from billing.models import PushAttempt
from tenants import reach, row_security
from tenants.models import Budget, Customer, Key, RetiredSecret, Tenant
from tenants.models.scoping import ScopedQuerySet, TenantQuerySet
from tests.factories import Holding, make_billing, make_holding, make_push
from tests.people import browser_of, make_member

ROOT = Path(__file__).parents[2]


def _catalogue() -> list[tuple[str, bool, bool, bool, int, bool]]:
    """Every table: name, a partition?, secured?, with a tenant_id?, policies of the app, may the app do anything?"""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT t.relname, t.relispartition, t.relrowsecurity, EXISTS (SELECT 1 FROM pg_attribute AS a WHERE "
            "a.attrelid = t.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped), (SELECT count(*) FROM pg_policies "
            "AS p WHERE p.tablename = t.relname AND 'farebox_app' = ANY(p.roles)), "
            "has_table_privilege('farebox_app', t.oid, 'SELECT, INSERT, UPDATE, DELETE') "
            "FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace "
            "WHERE n.nspname = 'public' AND t.relkind IN ('r', 'p', 'm', 'v', 'f')"
        )
        return list(cursor.fetchall())


@pytest.mark.django_db(databases="__all__")
def test_no_table_of_tenants_is_without_its_policy() -> None:
    forgotten = []
    for name, is_partition, is_secured, has_tenant, policies, is_reachable in _catalogue():
        must = has_tenant or name in row_security.RULES
        wanted = 0 if is_partition else 1
        if must and (not is_secured or policies != wanted):
            forgotten.append(name)
        if not must and is_reachable and name not in row_security.SHARED:
            forgotten.append(name)
    assert forgotten == [], "say in tenants/row_security.py whose rows these are"


@pytest.mark.django_db(databases="__all__")
def test_a_months_partition_made_later_shows_nothing_directly(acme: Holding) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT farebox_ensure_ledger_month('2025-03-01')")
        cursor.execute("SELECT relrowsecurity FROM pg_class WHERE relname = 'ledger_row_202503'")
        assert cursor.fetchone() == (True,)


@pytest.mark.django_db(databases="__all__")
def test_only_named_tenants_rows_are_seen_changed_or_made(acme: Holding, globex: Holding) -> None:
    with reach.only(acme.tenant.pk):
        assert set(Customer.objects.values_list("tenant_id", flat=True)) == {acme.tenant.pk}
        assert list(Tenant.objects.values_list("pk", flat=True)) == [acme.tenant.pk]
        assert Customer.objects.filter(pk=globex.customer.pk).update(name="Taken") == 0
        assert Budget.objects.filter(pk=globex.budget.pk).delete()[0] == 0
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Customer.objects.create(
                id="cus_x", tenant_id=globex.tenant.pk, mode="test", external_id="x", version=1
            )
    assert Customer.objects.count() == 2


@pytest.mark.django_db(databases="__all__")
def test_rows_that_hang_on_a_tenants_row_are_hidden_with_it(acme: Holding, globex: Holding) -> None:
    RetiredSecret.objects.create(
        key=globex.key.row, prefix="p", digest="d" * 64, expires_at="2030-01-01T00:00:00Z"
    )
    push = make_push(*make_billing(globex))
    PushAttempt.objects.create(push=push, number=1, started_at="2026-11-18T12:00:00Z")
    with reach.only(acme.tenant.pk):
        assert not RetiredSecret.objects.exists()
        assert not PushAttempt.objects.exists()
    with reach.only(globex.tenant.pk):
        assert RetiredSecret.objects.count() == 1
        assert PushAttempt.objects.count() == 1


@pytest.mark.django_db(databases="__all__")
def test_a_connection_nobody_spoke_for_sees_nothing(acme: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_process", reach.NOBODY)
    reach._tell(connection)
    assert not Customer.objects.exists()
    assert not Key.objects.exists()


@pytest.mark.django_db(databases="__all__")
def test_without_for_tenant_the_api_and_the_portal_still_show_nothing_of_another(
    acme: Holding, globex: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    for queryset, door in ((TenantQuerySet, "for_tenant"), (ScopedQuerySet, "for_scope")):
        monkeypatch.setattr(queryset, door, lambda rows, *_: rows.all())
    monkeypatch.setattr(QuerySet, "for_scope", lambda rows, *_: rows.all(), raising=False)
    Customer.objects.filter(pk=globex.customer.pk).update(name="Only Globex")
    client: Any = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    for path in ("customers", "keys", "budgets", "provider-accounts", "audit-log"):
        text = client.get(f"/api/v1/{path}").content.decode()
        assert acme.tenant.pk in text or '"data"' in text
        for mark in (
            "Only Globex",
            globex.customer.pk,
            globex.key.row.pk,
            globex.budget.pk,
            globex.account.pk,
        ):
            assert mark not in text
    assert client.get(f"/api/v1/customers/{acme.customer.pk}").status_code == 200
    assert client.get(f"/api/v1/customers/{globex.customer.pk}").status_code == 404
    browser = browser_of(make_member(acme.tenant)).client
    page = browser.get(f"/portal/{acme.tenant.slug}/test/customers/").content.decode()
    assert acme.customer.name.split("'")[0] in page
    assert "Only Globex" not in page


@pytest.mark.django_db(databases="__all__")
def test_without_row_security_the_same_test_would_see_the_other(
    acme: Holding, globex: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the test above can fail: with every row in reach, the patched door leads to the other's rows."""
    monkeypatch.setattr(ScopedQuerySet, "for_scope", lambda rows, *_: rows.all())
    monkeypatch.setattr(reach, "NOBODY", reach.ALL)
    monkeypatch.setattr(reach, "narrow", lambda tenant_id: None)
    client: Any = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    assert client.get(f"/api/v1/customers/{globex.customer.pk}").status_code == 200


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_request_leaves_nothing_behind_on_a_kept_connection(redis_url: str) -> None:
    acme = make_holding("Acme")
    client: Any = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    assert client.get("/api/v1/customers").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('farebox.tenant_id', true)")
        assert cursor.fetchone() == (reach.ALL,)  # what this process, the test, said of itself


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_rolled_back_transaction_takes_nothing_away_from_its_reach(redis_url: str) -> None:
    acme, globex = make_holding("Acme"), make_holding("Globex")
    with reach.only(acme.tenant.pk):
        with pytest.raises(ProgrammingError), transaction.atomic(), reach.only(globex.tenant.pk):
            connection.cursor().execute("SELECT no_such_column")
        assert list(Customer.objects.values_list("pk", flat=True)) == [acme.customer.pk]
        connection.close()
        assert list(Customer.objects.values_list("pk", flat=True)) == [acme.customer.pk]
    assert Customer.objects.count() == 2


@pytest.mark.django_db(databases="__all__")
def test_the_comparison_keeps_indexes_and_the_pruning_of_partitions(acme: Holding) -> None:
    with reach.only(acme.tenant.pk), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT * FROM ledger_row WHERE tenant_id = %s AND mode = 'test' AND month = '2026-11-01' "
            "AND started_at > '2026-11-03' ORDER BY started_at DESC, event_id DESC LIMIT 5",
            [acme.tenant.pk],
        )
        ledger = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("EXPLAIN SELECT * FROM tenants_customer WHERE tenant_id = %s AND mode = 'test' "
                       "AND external_id = 'acme-1'", [acme.tenant.pk])  # fmt: skip
        customer = "\n".join(row[0] for row in cursor.fetchall())
    by_index = r"Index Cond: \(\(tenant_id = '[^']+'::text\) AND \(mode = 'test'::text\) AND \(started_at"
    assert re.search(by_index, ledger)
    assert set(re.findall(r"on (ledger_row_\d+)", ledger)) == {"ledger_row_202611"}
    assert "InitPlan" in ledger  # read once, not for every row
    assert "Index Scan" in customer


def test_every_use_of_all_tenants_names_one_of_the_reasons() -> None:
    """The reasons and their places are one table: a new use has to come here."""
    uses: dict[str, set[str]] = {}
    for package in ("tenants", "billing", "config"):
        for path in (ROOT / package).rglob("*.py"):
            for name in re.findall(r"all_tenants\((?:reach\.)?Why\.(\w+)\)", path.read_text()):
                uses.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    assert uses == {
        "FIND_KEY": {"tenants/api/authentication.py"},
        "FIND_DESK": {"tenants/portal/access.py"},
        "OWN_TENANTS": {"tenants/portal/pages.py", "tenants/portal/views/home.py"},
        "FIND_INVITATION": {"tenants/portal/views/invitations.py"},
        "SIGN_UP": {"tenants/accounts.py"},
        "SIGN_IN": {"tenants/signing.py"},
    }
