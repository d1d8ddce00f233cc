"""The commands that start a tenant."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from config.secretkey import make_secret_key
from enforcement.control import Control
from enforcement.keyring import parse_key
from enforcement.keys import Scope
from tenants.actions.provider_accounts import open_credential, rotate_credential
from tenants.models import AuditEntry, Customer, Member, ProviderAccount, Tenant, User
from tenants.publishing import drain_outbox
from tests.factories import ACTOR, Holding
from tests.tenants.conftest import Api


def tenant_version(control: Control, holding: Holding) -> int:
    scope = Scope(holding.tenant.pk, "test")
    return control.published_versions(scope, [scope.tenant_policy()])[0]


def run(name: str, *arguments: str) -> Any:
    out = io.StringIO()
    call_command(name, *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.parametrize(("flags", "mode"), [((), "test"), (("--live",), "live")])
def test_bootstrap_makes_a_tenant_its_owner_and_a_full_api_key(
    db: None, control: Control, api: Api, flags: tuple[str, ...], mode: str
) -> None:
    made = run("bootstrap", "--tenant", "Initech", "--email", "Bill@Initech.example", *flags)

    assert set(made) == {"tenant", "api_key", "portal_url", "password"}
    parsed = parse_key(made["api_key"])
    assert parsed is not None
    assert (parsed.kind, parsed.mode) == ("ak", mode)
    owner = User.objects.get(email="bill@initech.example")
    assert owner.check_password(made["password"])
    assert Member.objects.get(user=owner).role == "owner"
    assert api(made["api_key"]).get("/api/v1/customers").status_code == 200
    assert made["portal_url"].startswith("http")


def test_bootstrap_refuses_what_is_taken_and_changes_nothing(db: None, control: Control) -> None:
    run("bootstrap", "--tenant", "Initech", "--email", "bill@initech.example")
    with pytest.raises(CommandError, match="initech"):
        run("bootstrap", "--tenant", "Initech", "--email", "other@initech.example")
    with pytest.raises(CommandError, match=r"bill@initech\.example"):
        run("bootstrap", "--tenant", "Other", "--email", "bill@initech.example")
    with pytest.raises(CommandError, match="--email"):
        run("bootstrap", "--tenant", "Other", "--email", "nonsense")
    assert Tenant.objects.count() == 1


def test_credentials_are_resealed_published_and_audited(
    acme: Holding, globex: Holding, open_shard: Callable[[str], Control], settings: Any
) -> None:
    control = open_shard(acme.tenant.pk)
    open_shard(globex.tenant.pk)
    drain_outbox(control=control)
    version = tenant_version(control, acme)
    old = tuple(settings.FAREBOX_SECRET_KEYS)
    settings.FAREBOX_SECRET_KEYS = (make_secret_key(), *old)

    out = io.StringIO()
    call_command("reseal_credentials", stdout=out)

    assert "resealed 2 provider accounts" in out.getvalue()
    assert "the old key may be dropped" in out.getvalue()
    assert tenant_version(control, acme) > version
    assert AuditEntry.objects.filter(action="provider_account.reseal", actor_kind="operator").count() == 2
    settings.FAREBOX_SECRET_KEYS = settings.FAREBOX_SECRET_KEYS[:1]
    assert open_credential(ProviderAccount.objects.get(pk=globex.account.pk)).startswith("sk-")


def test_an_account_whose_key_is_lost_is_named_and_keeps_no_other_from_being_resealed(
    acme: Holding, globex: Holding, control: Control, settings: Any
) -> None:
    old = tuple(settings.FAREBOX_SECRET_KEYS)
    settings.FAREBOX_SECRET_KEYS = (make_secret_key(),)
    rotate_credential(account=globex.account, actor=ACTOR, api_key="sk-0123456789abcdefghijklmnop")
    settings.FAREBOX_SECRET_KEYS = (make_secret_key(), *settings.FAREBOX_SECRET_KEYS)

    with pytest.raises(CommandError, match=acme.account.pk) as refused:
        call_command("reseal_credentials", stdout=io.StringIO())

    assert globex.account.pk not in str(refused.value)
    settings.FAREBOX_SECRET_KEYS = settings.FAREBOX_SECRET_KEYS[:1]
    assert open_credential(ProviderAccount.objects.get(pk=globex.account.pk)).startswith("sk-")
    settings.FAREBOX_SECRET_KEYS = old
    assert open_credential(ProviderAccount.objects.get(pk=acme.account.pk)).startswith("sk-")


def test_the_demo_is_made_once_and_found_again(db: None, control: Control, tmp_path: Path) -> None:
    with override_settings(FAREBOX_HOME=tmp_path):
        first = run("seed_demo", "--simulator", "http://127.0.0.1:9101/v1")
        second = run("seed_demo", "--simulator", "http://127.0.0.1:9102/v1")

    assert first == second
    assert {"email", "password", "customer", "limit_usd", "customer_key", "api_key"} <= set(first)
    assert Customer.objects.count() == 3
    assert ProviderAccount.objects.get(name="sim").base_url == "http://127.0.0.1:9102/v1"
    assert (tmp_path / "demo.json").stat().st_mode & 0o077 == 0


def test_the_demo_is_not_for_production(db: None, tmp_path: Path) -> None:
    with override_settings(FAREBOX_ENV="production", FAREBOX_HOME=tmp_path), pytest.raises(CommandError):
        run("seed_demo", "--simulator", "http://127.0.0.1:9101/v1")
