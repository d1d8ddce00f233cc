"""A key is stored once it is proven, used in its own mode alone, and told about once when Stripe refuses it."""

from __future__ import annotations

import io
from typing import Any
from unittest.mock import MagicMock

import pytest
from django.core import mail
from django.core.management import call_command
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from billing.errors import NotConnected, StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.stripe import connecting
from billing.stripe.connecting import connect, disconnect, mark_broken, note_outcome, recheck, rotate_key
from billing.stripe.hooks import register_hooks
from billing.stripe.keys import connection_of, gateway_of, open_webhook_secrets
from billing.stripe.mail import send_broken
from billing.stripe.outcomes import Outcome, Verdict
from billing.stripe.resealing import reseal_connections
from billing.stripe.scopes import NEEDED, REQUIRED
from config.secretkey import make_secret_key
from tenants.errors import InvalidInput, WrongState
from tenants.models import AuditEntry
from tests.billing.stripe.conftest import Stripe
from tests.factories import ACTOR, Holding
from tests.people import make_member

ENOUGH = [name.removeprefix("rak_") for name in sorted(REQUIRED)]
REFUSED = Outcome(Verdict.AUTH, code="api_key_expired", detail="Expired API Key provided.")


def connected(holding: Holding, key: str = "rk_test_sim", mode: str = "test") -> StripeConnection:
    """Connect a tenant."""
    return connect(tenant=holding.tenant, mode=mode, actor=ACTOR, api_key=key).row


def test_a_key_that_may_do_everything_connects(here: Stripe, acme: Holding) -> None:
    row = connected(acme)
    assert (row.status, row.scopes_missing, row.key_last4, row.stripe_account) == (
        "ok",
        [],
        "_sim",
        "acct_sim",
    )
    assert gateway_of(row).meters() == []


def test_the_key_is_kept_sealed_and_opens_in_its_own_row_alone(
    here: Stripe, acme: Holding, globex: Holding
) -> None:
    row, other = connected(acme), connected(globex)
    assert "rk_test" not in row.secret
    row.secret = other.secret
    with pytest.raises(NotConnected, match="cannot be read"):
        gateway_of(row)


@pytest.mark.parametrize(
    ("key", "mode", "said"),
    [
        ("rk_live_sim", "test", "live mode"),
        ("rk_test_sim", "live", "test mode"),
        ("pk_test_sim", "test", "publishable"),
        ("whsec_1234", "test", "no restricted key"),
        ("", "test", "no restricted key"),
        ("rk_test_\u00e9t\u00e9", "test", "no restricted key"),
        ("rk_test_unknown", "test", "does not take this key"),
    ],
)
def test_a_key_that_cannot_serve_is_refused_and_not_kept(
    here: Stripe, acme: Holding, key: str, mode: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        connected(acme, key, mode)
    assert refused.value.field == "api_key"
    assert not StripeConnection.objects.exists()


def test_a_secret_key_is_refused_at_stripe_itself_unless_allowed(acme: Holding, settings: Settings) -> None:
    settings.FAREBOX_STRIPE_BASE = "https://api.stripe.com"
    with pytest.raises(InvalidInput, match="secret key"):
        connected(acme, "sk_test_sim")


def test_permissions_that_are_missing_are_named_one_and_all(here: Stripe, acme: Holding) -> None:
    here.sim("keys", key="rk_test_less", scopes=["billing_meter_read", "customer_read", "invoice_read"])
    with pytest.raises(InvalidInput) as refused:
        connected(acme, "rk_test_less")
    for scope in NEEDED:
        missing = scope.name not in {"rak_billing_meter_read", "rak_customer_read", "rak_invoice_read"}
        assert (scope.name in str(refused.value)) == missing
    assert not StripeConnection.objects.exists()


def test_permissions_that_are_only_useful_are_noted(here: Stripe, acme: Holding) -> None:
    here.sim("keys", key="rk_test_least", scopes=ENOUGH)
    row = connected(acme, "rk_test_least")
    assert row.status == "ok"
    assert "rak_billing_meter_write" in row.scopes_missing
    assert not REQUIRED & set(row.scopes_missing)
    assert row.stripe_account == ""  # the key may not read it


def test_proving_a_key_makes_nothing_at_stripe(here: Stripe, acme: Holding) -> None:
    connected(acme)
    gateway = gateway_of(StripeConnection.objects.get())
    assert (gateway.customers(), gateway.meters(), gateway.invoices()) == ([], [], [])


def test_stripe_away_keeps_nothing(here: Stripe, acme: Holding) -> None:
    here.fault("unavailable_503", path="subscriptions")
    with pytest.raises(StripeFailed, match="try again"):
        connected(acme)
    assert not StripeConnection.objects.exists()


def test_a_second_connection_of_one_mode_is_refused(connection: StripeConnection, acme: Holding) -> None:
    with pytest.raises(WrongState):
        connected(acme)
    assert connected(acme, "rk_live_sim", "live").pk != connection.pk


def test_rotation_takes_the_new_key_and_keeps_meters(here: Stripe, connection: StripeConnection) -> None:
    here.sim("keys", key="rk_test_next")
    row = rotate_key(connection=connection, actor=ACTOR, api_key="rk_test_next").row
    assert (row.pk, row.key_last4) == (connection.pk, "next")


@pytest.mark.parametrize("tells_account", [True, False], ids=["told", "not told"])
def test_another_accounts_key_is_refused_at_rotation(
    here: Stripe, connection: StripeConnection, *, tells_account: bool
) -> None:
    StripeMeter.objects.create(
        tenant=connection.tenant, mode="test", connection=connection, currency="usd",
        stripe_meter_id=here.meter(), event_name="spend",
    )  # fmt: skip
    scopes = {} if tells_account else {"scopes": ENOUGH}
    here.sim("keys", key="rk_test_other", account="acct_other", **scopes)
    with pytest.raises(InvalidInput, match="another Stripe account"):
        rotate_key(connection=connection, actor=ACTOR, api_key="rk_test_other")
    connection.refresh_from_db()
    assert connection.key_last4 == "_sim"


def test_disconnecting_forgets_the_key_and_the_same_account_may_come_back(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    meter = _meter(connection, here)
    row = disconnect(connection=connection, actor=ACTOR).row
    assert (row.secret, row.webhook_secrets, row.status) == ("", [], "disconnected")
    with pytest.raises(NotConnected):
        connection_of(acme.tenant, "test")
    assert connected(acme).pk == connection.pk
    meter.refresh_from_db()
    assert meter.status == "active"


def test_another_account_begins_with_nothing_mapped(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    meter = _meter(connection, here)
    mapping = CustomerMap.objects.create(
        tenant=acme.tenant, mode="test", customer=acme.customer, connection=connection,
        stripe_customer_id="cus_1", state="mapped",
    )  # fmt: skip
    disconnect(connection=connection, actor=ACTOR)
    here.sim("keys", key="rk_test_other", account="acct_other")
    assert connected(acme, "rk_test_other").stripe_account == "acct_other"
    meter.refresh_from_db()
    mapping.refresh_from_db()
    assert (meter.status, mapping.state, mapping.stripe_customer_id) == ("archived", "unmapped", "")


def test_a_refused_key_stops_the_connection_and_is_told_once(
    here: Stripe,
    connection: StripeConnection,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    told = MagicMock()
    monkeypatch.setattr(connecting.tell_broken, "delay", told)
    with django_capture_on_commit_callbacks(execute=True):
        assert [note_outcome(connection, REFUSED), mark_broken(connection, REFUSED)] == [True, False]
    told.assert_called_once_with(connection.pk)
    connection.refresh_from_db()
    assert connection.status == "broken"
    with pytest.raises(NotConnected, match="broken"):
        gateway_of(connection)
    assert AuditEntry.objects.filter(action="stripe_connection.break").count() == 1


def test_a_permission_of_the_side_breaks_nothing(connection: StripeConnection) -> None:
    side = Outcome(Verdict.PERMISSION, scopes=("rak_customer_write",))
    assert not note_outcome(connection, side)
    connection.refresh_from_db()
    assert (connection.status, connection.scopes_missing) == ("ok", ["rak_customer_write"])
    assert note_outcome(connection, Outcome(Verdict.PERMISSION, scopes=("rak_billing_meter_event_write",)))


def test_the_mail_says_why_and_reaches_those_who_can_mend_it(connection: StripeConnection) -> None:
    make_member(connection.tenant, role="owner", email="boss@acme.example")
    make_member(connection.tenant, role="viewer", email="looker@acme.example")
    mark_broken(connection, REFUSED)
    assert send_broken(connection.pk)
    [message] = mail.outbox
    assert message.to == ["boss@acme.example"]
    assert "Expired API Key" in str(message.body)
    assert f"/portal/{connection.tenant.slug}/test/billing/" in str(message.body)


def test_a_broken_connection_that_answers_again_is_mended(here: Stripe, connection: StripeConnection) -> None:
    mark_broken(connection, REFUSED)
    connection.refresh_from_db()
    assert recheck(connection=connection, actor=ACTOR).row.status == "ok"
    here.sim("keys", key="rk_test_sim", status="revoked")
    assert recheck(connection=connection, actor=ACTOR).row.status == "broken"


def test_every_step_is_in_the_audit_log_and_no_key_is(connection: StripeConnection) -> None:
    rotate_key(connection=connection, actor=ACTOR, api_key="rk_test_sim")
    disconnect(connection=connection, actor=ACTOR)
    entries: list[Any] = list(
        AuditEntry.objects.filter(object_kind="stripeconnection").order_by("id").values()
    )
    steps = [entry["action"].split(".")[1] for entry in entries]
    assert steps == ["connect", "rotate", "disconnect"]
    assert "rk_test" not in str(entries)


def test_a_new_secret_key_seals_connections_anew(
    here: Stripe, connection: StripeConnection, settings: Settings
) -> None:
    register_hooks(connection=connection, actor=ACTOR)
    old = list(settings.FAREBOX_SECRET_KEYS)
    settings.FAREBOX_SECRET_KEYS = [make_secret_key(), *old]
    out = io.StringIO()
    call_command("reseal_credentials", stdout=out)
    assert "resealed 1 connections to Stripe" in out.getvalue()
    assert reseal_connections().resealed == ()
    settings.FAREBOX_SECRET_KEYS = settings.FAREBOX_SECRET_KEYS[:1]
    row = StripeConnection.objects.get()
    assert gateway_of(row).meters() == []
    assert len(open_webhook_secrets(row, "snapshot")) == 1
    settings.FAREBOX_SECRET_KEYS = [make_secret_key()]
    assert reseal_connections().unreadable == (row.pk,)


def _meter(connection: StripeConnection, here: Stripe) -> StripeMeter:
    return StripeMeter.objects.create(
        tenant=connection.tenant, mode="test", connection=connection, currency="usd",
        stripe_meter_id=here.meter(), event_name="spend",
    )  # fmt: skip
