"""What PostgreSQL itself keeps apart: tenants, modes, and two customers on one Stripe customer."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from billing.models import CustomerMap, StripeConnection, StripeMeter
from tests.factories import make_customer, make_tenant

pytestmark = pytest.mark.django_db


def _connection(name: str, mode: str = "test") -> StripeConnection:
    return StripeConnection.objects.create(
        tenant=make_tenant(name), mode=mode, api_version="2026-05-27.dahlia"
    )


def _map(connection: StripeConnection, external_id: str, **values: Any) -> CustomerMap:
    customer = make_customer(connection.tenant, external_id, mode=connection.mode)
    return CustomerMap.objects.create(
        tenant=connection.tenant, mode=connection.mode, customer=customer, connection=connection, **values
    )


def test_a_mapping_cannot_point_at_another_tenants_customer() -> None:
    acme, globex = _connection("Acme"), _connection("Globex")
    mapped, other = _map(acme, "a-1"), _map(globex, "g-1")
    other.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        CustomerMap.objects.filter(pk=mapped.pk).update(customer=other.customer)


def test_a_mapping_cannot_point_at_the_other_modes_connection() -> None:
    acme = _connection("Acme")
    live = StripeConnection.objects.create(tenant=acme.tenant, mode="live", api_version=acme.api_version)
    mapped = _map(acme, "a-1")
    with pytest.raises(IntegrityError), transaction.atomic():
        CustomerMap.objects.filter(pk=mapped.pk).update(connection=live)


def test_a_meter_cannot_move_to_another_tenants_connection() -> None:
    acme, globex = _connection("Acme"), _connection("Globex")
    meter = StripeMeter.objects.create(
        tenant=acme.tenant,
        mode="test",
        connection=acme,
        currency="usd",
        stripe_meter_id="mtr_1",
        event_name="x",
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        StripeMeter.objects.filter(pk=meter.pk).update(connection=globex)


def test_two_customers_cannot_share_one_stripe_customer() -> None:
    acme = _connection("Acme")
    _map(acme, "a-1", stripe_customer_id="cus_1", state="no_subscription")
    with pytest.raises(IntegrityError), transaction.atomic():
        _map(acme, "a-2", stripe_customer_id="cus_1", state="no_subscription")


def test_a_currency_has_one_meter_that_is_not_archived() -> None:
    acme = _connection("Acme")
    terms = {"tenant": acme.tenant, "mode": "test", "connection": acme, "currency": "usd", "event_name": "x"}
    StripeMeter.objects.create(stripe_meter_id="mtr_1", status="archived", **terms)
    StripeMeter.objects.create(stripe_meter_id="mtr_2", **terms)
    with pytest.raises(IntegrityError), transaction.atomic():
        StripeMeter.objects.create(stripe_meter_id="mtr_3", **terms)
