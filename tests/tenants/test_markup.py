"""Markup of a tenant and of a customer: set by the API, checked, written down, and published."""

from __future__ import annotations

from typing import Any

import pytest

from enforcement.policies import CustomerPolicy, Markup, ModelMarkup
from tenants.models import AuditEntry, TenantSettings
from tenants.projection import customer_policy
from tests.factories import Holding
from tests.tenants.conftest import Api

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _published(open_shard: Any, acme: Holding) -> None:
    open_shard(acme.tenant.pk)


def policy_of(acme: Holding) -> CustomerPolicy:
    acme.customer.refresh_from_db()
    return customer_policy(acme.customer, [])


def test_a_tenants_markup_changes_in_parts(api: Api, acme: Holding) -> None:
    client = api(acme.api_key)
    models = [{"model": "gpt-4o*", "markup_percent": "5.00", "markup_fixed_usd": "0.001"}]
    first = {"markup_percent": "20", "markup_models": models, "output_cap_plain": 2000}
    answer = client.patch("/api/v1/tenant", first, format="json")
    assert answer.status_code == 200, answer.content
    assert client.patch("/api/v1/tenant", {"markup_fixed_usd": "0.01"}, format="json").status_code == 200

    found = client.get("/api/v1/tenant").json()
    assert (found["markup_percent"], found["markup_fixed_usd"], found["markup_models"]) == (
        "20.00",
        "0.01",
        models,
    )
    assert (found["output_cap_plain"], found["tenant"]) == (2000, acme.tenant.pk)
    row = TenantSettings.objects.get(tenant=acme.tenant, mode="test")
    assert (row.markup_bp, row.markup_fixed_nanousd) == (2_000, 10_000_000)
    assert TenantSettings.objects.get(tenant=acme.tenant, mode="live").markup_bp == 0
    newest = AuditEntry.objects.filter(action="markup.set").order_by("-at").first()
    assert newest is not None
    assert newest.before["markup_fixed_nanousd"] == 0
    assert newest.after["markup_fixed_nanousd"] == 10_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"markup_percent": "-100.01"},
        {"markup_percent": "10001"},
        {"markup_fixed_usd": "-1"},
        {"markup_percent": 1.5},
        {"markup_models": [{"model": "a b", "markup_percent": "1"}]},
        {"markup_models": [{"markup_percent": "1"}]},
        {"markup": "20"},
    ],
)
def test_a_markup_that_makes_no_sense_is_refused(api: Api, acme: Holding, changes: dict[str, Any]) -> None:
    client = api(acme.api_key)
    for path in ("/api/v1/tenant", f"/api/v1/customers/{acme.customer.pk}"):
        assert client.patch(path, changes, format="json").status_code == 400
    assert not AuditEntry.objects.filter(action__in=["markup.set", "customer.change"]).exists()


def test_a_customers_own_markup_replaces_the_tenants(api: Api, acme: Holding) -> None:
    path, client = f"/api/v1/customers/{acme.customer.pk}", api(acme.api_key)
    assert policy_of(acme).markup is None
    assert (
        client.patch(path, {"markup_percent": "30", "markup_fixed_usd": "0.002"}, format="json").status_code
        == 200
    )
    assert policy_of(acme).markup == Markup(3_000, 2_000_000)
    entry = AuditEntry.objects.get(action="customer.change")
    assert entry.after == {"markup_bp": 3_000, "markup_fixed_nanousd": 2_000_000}
    cleared = {"markup_percent": None, "markup_fixed_usd": "0"}
    assert client.patch(path, cleared, format="json").status_code == 200
    assert policy_of(acme).markup is None


def test_a_customers_markup_for_some_models_leaves_the_others_to_the_tenant(api: Api, acme: Holding) -> None:
    models = [{"model": "gpt-*", "markup_percent": "7"}]
    path = f"/api/v1/customers/{acme.customer.pk}"
    assert api(acme.api_key).patch(path, {"markup_models": models}, format="json").status_code == 200
    assert policy_of(acme).markup == Markup(models=(ModelMarkup("gpt-*", 700),), has_general=False)


def test_a_fixed_part_alone_is_no_customers_markup(api: Api, acme: Holding) -> None:
    client = api(acme.api_key)
    for method, path, more in (
        ("patch", f"/api/v1/customers/{acme.customer.pk}", {}),
        ("post", "/api/v1/customers", {"external_id": "new-1"}),
    ):
        answer = getattr(client, method)(path, {"markup_fixed_usd": "0.01", **more}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
