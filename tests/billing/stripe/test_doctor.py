"""The doctor finds each thing that keeps usage from an invoice, and says what to do about it."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.stripe.catalog import MeterTerms, set_up_meter, subscribe
from billing.stripe.connecting import disconnect
from billing.stripe.demo import connect_demo
from billing.stripe.doctor import Check, examine
from billing.stripe.hooks import hook_url, register_hooks, why_unreachable
from billing.stripe.keys import gateway_of, open_webhook_secrets
from billing.stripe.mapping import create_buyer, unmap_customer
from billing.stripe.scopes import SCOPES
from tenants.errors import WrongState
from tests.billing.stripe.conftest import Stripe
from tests.factories import ACTOR, Holding, make_customer

Harm = Callable[[Stripe, StripeConnection], object]


@pytest.fixture
def healthy(here: Stripe, connection: StripeConnection, acme: Holding) -> StripeConnection:
    """A connection with nothing wrong about it."""
    meter = set_up_meter(connection=connection, actor=ACTOR, terms=MeterTerms(currency="usd")).row
    mapping = create_buyer(connection=connection, customer=acme.customer, actor=ACTOR).row
    subscribe(mapping=mapping, meter=meter, actor=ACTOR)
    return register_hooks(connection=connection, actor=ACTOR).row


def wrong(connection: StripeConnection) -> list[Check]:
    """What is not as it should be."""
    return [check for check in examine(connection) if not check.ok]


def test_a_connection_with_nothing_wrong_is_told_so(healthy: StripeConnection) -> None:
    assert wrong(healthy) == []
    out = io.StringIO()
    call_command("stripe_doctor", stdout=out)
    assert "acme test, a simulator" in out.getvalue()
    assert "FAILED" not in out.getvalue()
    assert all(scope.name in out.getvalue() for scope in SCOPES)


def _deactivate(here: Stripe, connection: StripeConnection) -> None:
    here.post(f"/v1/billing/meters/{StripeMeter.objects.get().stripe_meter_id}/deactivate")


def _archive_price(here: Stripe, connection: StripeConnection) -> None:
    here.post(f"/v1/prices/{StripeMeter.objects.get().price_id}", active="false")


def _arrive(here: Stripe, connection: StripeConnection) -> None:
    make_customer(connection.tenant, "late")


def _cancel(here: Stripe, connection: StripeConnection) -> None:
    CustomerMap.objects.update(state="no_subscription")


def _revoke(here: Stripe, connection: StripeConnection) -> None:
    here.sim("keys", key="rk_test_sim", status="revoked")


def _drop_hook(here: Stripe, connection: StripeConnection) -> None:
    here.send("DELETE", f"/v1/webhook_endpoints/{connection.webhook_endpoint_id}")


@pytest.mark.parametrize(
    ("harm", "name", "found", "serious"),
    [
        (_deactivate, "meter farebox_usage_usd", "deactivated", True),
        (_archive_price, "meter farebox_usage_usd", "archived", True),
        (_arrive, "unmapped customers", "1", True),
        (_cancel, "without the price", "1: acme-1", True),
        (_revoke, "key", "Invalid API Key", True),
        (_drop_hook, "events", "gone from Stripe", False),
    ],
    ids=["meter", "price", "unmapped", "no price", "key", "hook"],
)
def test_each_harm_is_found_and_has_a_remedy(
    here: Stripe, healthy: StripeConnection, harm: Harm, name: str, found: str, *, serious: bool
) -> None:
    harm(here, healthy)
    [check] = wrong(healthy)
    assert (check.name, check.is_serious) == (name, serious)
    assert found in check.found
    assert check.advice
    if serious:
        with pytest.raises(CommandError, match="1 check"):
            call_command("stripe_doctor", "--tenant", healthy.tenant.slug, stdout=io.StringIO())


def test_stripe_away_is_a_finding_not_a_crash(here: Stripe, healthy: StripeConnection) -> None:
    here.fault("unavailable_503", path=".*", times=0)
    assert [check.name for check in wrong(healthy)] == ["stripe"]
    here.http.delete("/_sim/faults")


def test_hooks_are_registered_with_secrets_of_their_own(here: Stripe, connection: StripeConnection) -> None:
    row = register_hooks(connection=connection, actor=ACTOR).row
    [snapshot], [thin] = open_webhook_secrets(row, "snapshot"), open_webhook_secrets(row, "thin")
    assert snapshot != thin
    assert snapshot.startswith("whsec_")
    assert snapshot not in str(row.webhook_secrets)
    first = row.webhook_endpoint_id
    again = register_hooks(connection=row, actor=ACTOR).row
    assert open_webhook_secrets(again, "snapshot")[1:] == [snapshot]
    known = {each["id"]: each["url"] for each in here.get("/v1/webhook_endpoints")["data"]}
    assert known == {again.webhook_endpoint_id: hook_url(again)}
    assert first not in known


@pytest.mark.parametrize(
    ("base_url", "reachable"),
    [
        ("https://farebox.example", True),
        ("http://farebox.example", False),
        ("https://127.0.0.1:8000", False),
        ("https://10.1.2.3", False),
        ("https://farebox.internal", False),
        ("https://farebox", False),
    ],
)
def test_only_a_public_address_is_registered_at_stripe_itself(
    settings: object, base_url: str, *, reachable: bool
) -> None:
    settings.FAREBOX_STRIPE_BASE = "https://api.stripe.com"  # type: ignore[attr-defined]
    settings.FAREBOX_BASE_URL = base_url  # type: ignore[attr-defined]
    assert (why_unreachable() is None) == reachable


def test_the_demo_is_connected_once_and_again_after_the_stand_in_forgot(here: Stripe, acme: Holding) -> None:
    first = connect_demo(acme.tenant, acme.customer.external_id)
    assert connect_demo(acme.tenant, acme.customer.external_id).stripe_customer_id == first.stripe_customer_id
    here.sim("reset")
    second = connect_demo(acme.tenant, acme.customer.external_id)
    assert (second.state, second.stripe_customer_id != first.stripe_customer_id) == ("mapped", True)
    assert [row.status for row in StripeMeter.objects.order_by("created_at")] == ["archived", "active"]


def test_the_demo_never_meets_stripe_itself(acme: Holding) -> None:
    with pytest.raises(WrongState, match="simulator alone"):
        connect_demo(acme.tenant, acme.customer.external_id)


def test_an_ended_connection_is_not_examined(connection: StripeConnection) -> None:
    disconnect(connection=connection, actor=ACTOR)
    out = io.StringIO()
    call_command("stripe_doctor", stdout=out)
    assert "no connection" in out.getvalue()


def test_unmapping_shows_in_the_next_examination(healthy: StripeConnection) -> None:
    unmap_customer(mapping=CustomerMap.objects.select_related("connection").get(), actor=ACTOR)
    assert [check.name for check in wrong(healthy)] == ["unmapped customers"]
    assert gateway_of(healthy).meters() != []
