"""What PostgreSQL itself refuses, whatever the code does."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from metering.money import LIMIT_NANOUSD_MAX
from tenants.models import AuditEntry, Budget, Key, PriceEntry
from tests.factories import Holding, make_customer


def test_the_app_is_neither_superuser_nor_owner(acme: Holding) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == ("farebox_app", False, False)
        cursor.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user"
        )
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_auditentry SET action = 'x'",
        "DELETE FROM tenants_auditentry",
        "TRUNCATE tenants_auditentry",
        "UPDATE tenants_priceentry SET model = 'x'",
        "DELETE FROM tenants_priceentry",
        "ALTER TABLE tenants_budget DROP CONSTRAINT budget_limit_fits_lua",
        "CREATE TABLE mine (id int)",
    ],
)
def test_the_app_may_not_change_what_must_stay(acme: Holding, statement: str) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEntry.objects.exists()
    assert PriceEntry.objects.exists()


def test_a_budget_cannot_belong_to_another_tenants_customer(acme: Holding, globex: Holding) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.filter(pk=acme.budget.pk).update(customer=globex.customer)


def test_a_key_cannot_belong_to_a_customer_of_the_other_mode(acme: Holding) -> None:
    live = make_customer(acme.tenant, "acme-live", mode="live")
    with pytest.raises(IntegrityError), transaction.atomic():
        Key.objects.filter(pk=acme.key.row.pk).update(customer=live)


@pytest.mark.parametrize("limit_nanousd", [-1, int(LIMIT_NANOUSD_MAX) + 1])
def test_a_limit_that_lua_cannot_add_is_refused(acme: Holding, limit_nanousd: int) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.filter(pk=acme.budget.pk).update(limit_nanousd=limit_nanousd)


def test_a_customer_key_without_a_customer_is_refused(acme: Holding) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Key.objects.filter(pk=acme.key.row.pk).update(customer=None)
