"""Two tenants in every test of the control plane, and an API client that speaks as a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from django.test import override_settings
from rest_framework.test import APIClient

from enforcement.control import Control
from enforcement.keys import Scope
from tenants import publishing
from tests.factories import Holding, make_holding

Api = Callable[[str], APIClient]


@pytest.fixture(autouse=True)
def _static_files_are_not_collected() -> Iterator[None]:
    """Serve static files from where they lie: tests collect none."""
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


@pytest.fixture
def acme(db: None) -> Holding:
    """Acme with one of each, in test mode."""
    return make_holding("Acme")


@pytest.fixture
def globex(db: None) -> Holding:
    """Globex with one of each, in test mode."""
    return make_holding("Globex")


@pytest.fixture
def control(redis_client: redis.Redis, redis_url: str) -> Iterator[Control]:
    """A control client of a Redis whose shards open when asked for."""
    publishing.shared_control.cache_clear()
    client = Control(redis_url)
    yield client
    client.close()
    publishing.shared_control.cache_clear()


@pytest.fixture
def open_shard(control: Control) -> Callable[[str], Control]:
    """Open a tenant's shard, as the keeper does at a first start."""

    def open_it(tenant_id: str) -> Control:
        control.ensure_open(Scope(tenant_id, "test"))
        return control

    return open_it


@pytest.fixture
def api() -> Api:
    """Make a client that sends an API key."""

    def client(secret: str) -> APIClient:
        made = APIClient(raise_request_exception=True)
        made.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return made

    return client
