"""The environment is read once; what is missing or malformed is named, and secrets are not shown."""

from __future__ import annotations

import pytest

from proxy.errors import SettingsError
from proxy.settings import read_settings

GOOD = {
    "REDIS_URL": "redis://:hidden@127.0.0.1:1/0",
    "FAREBOX_SECRET_KEYS": "hidden-1, hidden-2",
    "FAREBOX_BASE_URL": "https://farebox.example/",
}


def test_a_good_environment_is_read() -> None:
    settings = read_settings(
        {**GOOD, "FAREBOX_ALLOW_PRIVATE_UPSTREAMS": "127.0.0.1:*, Vllm.local:8000,[::1]:80"}
    )
    assert settings.production
    assert settings.secret_keys == ("hidden-1", "hidden-2")
    assert settings.private_upstreams == {"127.0.0.1:*", "vllm.local:8000", "[::1]:80"}
    assert settings.docs_url("x") == "https://farebox.example/docs/errors#x"


def test_secrets_are_not_in_the_repr() -> None:
    assert "hidden" not in repr(read_settings(GOOD))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in GOOD),
        ("FAREBOX_ENV", "staging"),
        ("FAREBOX_BASE_URL", "farebox.example"),
        ("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", "127.0.0.1"),
        ("FAREBOX_IDLE_TIMEOUT_MS", "soon"),
        ("FAREBOX_BODY_BYTES_MAX", "0"),
        ("FAREBOX_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_bad_value_stops_the_process_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({**GOOD, name: value})
