"""The commands that start a tenant."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from enforcement.control import Control
from enforcement.keyring import parse_key
from tenants.models import Customer, Member, ProviderAccount, Tenant, User
from tests.tenants.conftest import Api


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
