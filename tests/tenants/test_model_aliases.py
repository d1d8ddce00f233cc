"""Names of the tenant's own for models: given, listed, taken away, and what may not be one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis
from rest_framework.test import APIClient

from enforcement.control import Control
from enforcement.keys import Scope
from enforcement.policies import TenantPolicy
from tenants.actions.model_aliases import ALIASES_MAX
from tenants.models import AuditEntry, TenantSettings
from tests.factories import Holding, make_account, make_api_key
from tests.tenants.conftest import Api

ROOT = "/api/v1/model-aliases"
FAST = {"alias": "fast", "model": "groq/llama-3.3-70b-versatile"}


@pytest.fixture
def client(acme: Holding, open_shard: Callable[[str], Control], api: Api) -> APIClient:
    open_shard(acme.tenant.pk)
    return api(acme.api_key)


def give(client: APIClient, alias: str = "fast", model: str = FAST["model"]) -> Any:
    return client.post(ROOT, {"alias": alias, "model": model}, format="json")


def published(redis_client: redis.Redis, acme: Holding) -> dict[str, str]:
    body = redis_client.hget(Scope(acme.tenant.pk, "test").tenant_policy(), "body")
    assert body is not None
    return msgspec.json.decode(body, type=TenantPolicy).model_aliases


def test_a_name_is_given_listed_and_taken_away(client: APIClient, acme: Holding) -> None:
    made = give(client)
    assert (made.status_code, made.json()) == (201, {**FAST, "pending": False})
    assert give(client).status_code == 200
    assert give(client, "cheap", "openai/gpt-4o-mini").status_code == 201
    assert client.get(ROOT).json() == {"data": [{"alias": "cheap", "model": "openai/gpt-4o-mini"}, FAST]}
    gone = client.delete(f"{ROOT}/fast")
    assert (gone.status_code, gone.json()) == (200, {**FAST, "pending": False})
    assert client.delete(f"{ROOT}/fast").status_code == 404
    assert [one["alias"] for one in client.get(ROOT).json()["data"]] == ["cheap"]
    audit = AuditEntry.objects.filter(tenant=acme.tenant, action__startswith="model_alias").order_by("at")
    assert [(one.action, one.before, one.after) for one in audit] == [
        ("model_alias.create", None, FAST),
        ("model_alias.create", None, {"alias": "cheap", "model": "openai/gpt-4o-mini"}),
        ("model_alias.delete", FAST, None),
    ]


def test_a_name_stands_for_one_model_at_a_time(client: APIClient) -> None:
    assert give(client).status_code == 201
    again = give(client, model="openai/gpt-4o")
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")


@pytest.mark.parametrize("alias", ["", "Fast", "a/b", "-a", "a b", "a" * 64, "schn\u00e4ll"])
def test_a_name_is_spelled_so_that_it_can_be_no_address(client: APIClient, alias: str) -> None:
    assert give(client, alias).status_code == 400


@pytest.mark.parametrize("model", ["", "a b", "x" * 201, "fast"])
def test_a_model_is_named_as_in_a_call(client: APIClient, model: str) -> None:
    assert give(client, model=model).status_code == 400


def test_names_make_no_chains(client: APIClient) -> None:
    assert give(client).status_code == 201
    later = give(client, "faster", "fast")
    assert (later.status_code, "itself" in str(later.json())) == (400, True)
    assert give(client, "a", "b").status_code == 201
    earlier = give(client, "b", "c")
    assert (earlier.status_code, "chain" in str(earlier.json())) == (400, True)


def test_a_name_is_no_models_that_could_be_called(client: APIClient, acme: Holding) -> None:
    own = give(client, acme.price.model)
    assert (own.status_code, "priced" in str(own.json())) == (400, True)
    of_openai = give(client, "gpt-4o-mini-2024-07-18")
    assert (of_openai.status_code, "of openai" in str(of_openai.json())) == (400, True)
    assert give(client, "claude-opus-4-5").status_code == 201
    make_account(acme.tenant, provider="anthropic", name="claude")
    assert give(client, "claude-sonnet-4-5").status_code == 400


def test_there_are_not_more_names_than_a_policy_can_carry(client: APIClient, acme: Holding) -> None:
    full = {f"name-{number}": "gpt-4o" for number in range(ALIASES_MAX)}
    TenantSettings.objects.filter(tenant=acme.tenant, mode="test").update(model_aliases=full)
    assert give(client).status_code == 400


def test_names_are_of_one_mode_and_reach_the_proxy(
    client: APIClient, acme: Holding, redis_client: redis.Redis, api: Api
) -> None:
    assert give(client).status_code == 201
    assert published(redis_client, acme) == {"fast": FAST["model"]}
    live = api(make_api_key(acme.tenant, mode="live"))
    assert live.get(ROOT).json() == {"data": []}
    assert client.delete(f"{ROOT}/fast").status_code == 200
    assert published(redis_client, acme) == {}


def test_it_takes_the_right_to_settings(acme: Holding, api: Api) -> None:
    reader = api(make_api_key(acme.tenant, scopes=("settings:read",)))
    assert reader.get(ROOT).status_code == 200
    assert give(reader).status_code == 403
    assert api(make_api_key(acme.tenant, scopes=("keys:write",))).get(ROOT).status_code == 403
