"""Allowances and accounts of every provider we know, by the control API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from enforcement.control import Control
from tests.factories import Holding
from tests.tenants.conftest import Api
from tests.tenants.test_api import send

OpenShard = Callable[[str], Control]


@pytest.fixture
def client(acme: Holding, open_shard: OpenShard, api: Api) -> APIClient:
    """A client of Acme in test mode, its shard open."""
    open_shard(acme.tenant.pk)
    return api(acme.api_key)


def test_an_allowance_is_set_kind_by_kind_and_taken_away_with_null(client: APIClient) -> None:
    send(client, "patch", "/settings", {"allowances": {"document": 20_000, "video": 90_000}})
    changed = send(client, "patch", "/settings", {"allowances": {"image_url": 2_000, "video": None}})
    assert changed.status_code == 200
    assert changed.json()["allowances"] == {"document": 20_000, "image_url": 2_000}
    assert send(client, "get", "/settings").json()["allowances"] == {"document": 20_000, "image_url": 2_000}


@pytest.mark.parametrize(
    "allowances", [{"picture": 1}, {"document": 0}, {"document": 10_000_001}, {"document": "many"}, 5]
)
def test_an_allowance_of_no_known_kind_or_size_is_refused(client: APIClient, allowances: Any) -> None:
    refused = send(client, "patch", "/settings", {"allowances": allowances})
    assert refused.status_code == 400
    assert "allowances" in refused.content.decode()
    assert send(client, "get", "/settings").json()["allowances"] == {}


def test_accounts_of_servers_with_an_address_of_ones_own(client: APIClient) -> None:
    terms = {"provider": "azure", "name": "az", "api_key": "k" * 20}
    refused = send(client, "post", "/provider-accounts", terms)
    assert refused.status_code == 400
    assert "https://my-resource.openai.azure.com/openai/v1" in refused.content.decode()
    given = {**terms, "provider": "azure-deployments", "base_url": "https://acme.openai.azure.com/openai/"}
    made = send(client, "post", "/provider-accounts", given)
    assert made.status_code == 201
    assert (made.json()["base_url"], made.json()["warnings"]) == ("https://acme.openai.azure.com/openai", [])
    inward = {**terms, "name": "own", "provider": "vllm", "base_url": "http://10.0.0.5:8000/v1"}
    assert (
        "FAREBOX_ALLOW_PRIVATE_UPSTREAMS"
        in send(client, "post", "/provider-accounts", inward).content.decode()
    )


def test_a_provider_is_reached_where_it_speaks_the_dialect_that_was_named(client: APIClient) -> None:
    terms = {"provider": "deepseek", "name": "ds", "api_key": "k" * 20, "dialect": "anthropic"}
    made = send(client, "post", "/provider-accounts", terms)
    assert made.json()["base_url"] == "https://api.deepseek.com/anthropic"
    refused = send(client, "post", "/provider-accounts", {**terms, "name": "m", "provider": "mistral"})
    assert refused.status_code == 400
    assert "Mistral is known to speak openai" in refused.content.decode()
