"""The environment, read once into one frozen value. A missing or malformed variable stops the process by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proxy.errors import SettingsError

_HOST_PORT = re.compile(r"[^\s:,]+:(\d{1,5}|\*)|\[[0-9a-fA-F:.]+\]:(\d{1,5}|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a proxy process needs to know. Secrets stay out of its repr."""

    redis_url: str = field(repr=False)
    secret_keys: tuple[str, ...] = field(repr=False)
    base_url: str
    production: bool
    # host:port pairs that may lead to private addresses and may be reached without TLS; the port may be ``*``.
    private_upstreams: frozenset[str] = frozenset()
    body_bytes_max: int = 32 * 1024 * 1024
    answer_bytes_max: int = 64 * 1024 * 1024
    connect_timeout_ms: int = 5_000
    first_byte_timeout_ms: int = 600_000
    idle_timeout_ms: int = 300_000
    total_timeout_ms: int = 3_600_000
    shutdown_grace_ms: int = 8_000
    policies_max: int = 20_000
    reserve_ttl_ms: int = 10_000
    lease_ms: int = 30_000
    renew_every_ms: int = 10_000
    log_level: str = "INFO"

    def docs_url(self, code: str) -> str:
        """Where an error code is explained."""
        return f"{self.base_url}/docs/errors#{code}"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the proxy's settings.

    Raises: SettingsError naming the variable that is missing or malformed.
    """
    env = environment
    production = _choice(env, "FAREBOX_ENV", ("production", "development")) == "production"
    return Settings(
        redis_url=_required(env, "REDIS_URL"),
        secret_keys=_words(_required(env, "FAREBOX_SECRET_KEYS")),
        base_url=_base_url(env, production=production),
        production=production,
        private_upstreams=_private_upstreams(env),
        log_level=_choice(env, "FAREBOX_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        **{name: _positive(env, f"FAREBOX_{name.upper()}", default) for name, default in _NUMBERS.items()},
    )


_NUMBERS = {
    "body_bytes_max": 32 * 1024 * 1024,
    "answer_bytes_max": 64 * 1024 * 1024,
    "connect_timeout_ms": 5_000,
    "first_byte_timeout_ms": 600_000,
    "idle_timeout_ms": 300_000,
    "total_timeout_ms": 3_600_000,
    "shutdown_grace_ms": 8_000,
    "policies_max": 20_000,
    "reserve_ttl_ms": 10_000,
    "lease_ms": 30_000,
    "renew_every_ms": 10_000,
}


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set (see docs/env.md)")
    return value


def _choice(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = env.get(name, "").strip() or allowed[0]
    if value not in allowed:
        raise SettingsError(f"{name}: {value!r} is none of {', '.join(allowed)}")
    return value


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise SettingsError(f"{name}: {text!r} is no whole number above zero")
    return int(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _base_url(env: Mapping[str, str], *, production: bool) -> str:
    if production:
        value = _required(env, "FAREBOX_BASE_URL")
    else:
        value = env.get("FAREBOX_BASE_URL", "").strip() or "http://127.0.0.1:8000"
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise SettingsError(f"FAREBOX_BASE_URL: {value!r} is no http(s) address")
    return value.rstrip("/")


def _private_upstreams(env: Mapping[str, str]) -> frozenset[str]:
    name = "FAREBOX_ALLOW_PRIVATE_UPSTREAMS"
    pairs = _words(env.get(name, ""))
    for pair in pairs:
        if not _HOST_PORT.fullmatch(pair):
            raise SettingsError(f"{name}: {pair!r} is no host:port")
    return frozenset(pair.lower() for pair in pairs)
