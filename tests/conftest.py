"""Real servers for every test that asks: PostgreSQL as three roles, Valkey, both from wheels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
import redis
from django.test import TransactionTestCase

from tests.plugin import HOME, POSTGRES, VALKEY


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    yield
    POSTGRES.stop()
    VALKEY.stop()
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey_server() -> None:
    """The session's Valkey, running."""
    VALKEY.start()


@pytest.fixture(scope="session")
def redis_url(valkey_server: None) -> str:
    """Where the session's Valkey is."""
    return VALKEY.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A sync client of a Valkey emptied for this test."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The session's PostgreSQL, running and migrated; returns the app role's URL."""
    POSTGRES.start()
    return os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def django_db_setup(postgres_server: str, django_db_blocker: pytest.FixtureRequest) -> None:
    """Migrate as owner; tests then run as the app role, as production does."""
    from django.core.management import call_command

    from tenants.reach import work_over_all_tenants

    work_over_all_tenants()  # outside requests; a request of a test sees what it would see anywhere
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        call_command("migrate", database="owner", verbosity=0)


def _truncate_as_owner(self: TransactionTestCase) -> None:
    """Empty every table after a test that commits: the app role may not, and must not be able to."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        kept = {"django_migrations", "django_content_type", "auth_permission"}
        tables = ", ".join(f'"{name}"' for (name,) in cursor.fetchall() if name not in kept)
        cursor.execute(f"TRUNCATE {tables} CASCADE")


TransactionTestCase._fixture_teardown = _truncate_as_owner  # type: ignore[method-assign]
