"""`manage.py check --deploy`: clean for a sound installation, and plain about what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from config.secretkey import make_secret_key
from metering.price_book import latest_change
from tenants import checks

ROOT = Path(__file__).parents[2]
SOUND = {
    "FAREBOX_ENV": "production",
    "FAREBOX_BASE_URL": "https://farebox.example",
    "FAREBOX_SECRET_KEYS": make_secret_key(),
    "DATABASE_URL": "postgresql://farebox_app:s@db.internal/farebox?sslmode=verify-full",
    "DATABASE_OWNER_URL": "postgresql://farebox_owner:s@/farebox?host=/run/postgresql",
    "DATABASE_RECORDER_URL": "postgresql://farebox_recorder:s@127.0.0.1/farebox",
    "REDIS_URL": "rediss://:s@redis.internal:6379/0",
    "CELERY_BROKER_URL": "redis://localhost:6379/1",
}


def check(**changes: str) -> tuple[int, str]:
    """Run the command as a deployment would; no server is asked."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT, env={**kept, **SOUND, **changes}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_sound_installation_has_nothing_to_mend() -> None:
    code, text = check()
    assert code == 0, text
    assert "no issues" in text


def test_what_is_not_sound_is_named_with_its_id() -> None:
    code, text = check(
        FAREBOX_BASE_URL="http://farebox.example",
        FAREBOX_SECRET_KEYS="c2hvcnQ=",
        REDIS_URL="redis://:s@redis.internal:6379/0",
        DATABASE_RECORDER_URL="postgresql://farebox_recorder:s@db.internal/farebox?sslmode=prefer",
    )
    assert code == 1
    for id_ in ("farebox.E001", "farebox.W001", "farebox.W002", "security.W012"):
        assert id_ in text
    assert "REDIS_URL leads to redis.internal" in text
    assert "DATABASE_RECORDER_URL leads to db.internal" in text
    assert "c2hvcnQ" not in text
    assert ":s@" not in text


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", True), ("/run/postgresql", True), ("localhost", True), ("127.0.0.1", True), ("::1", True),
        ("127.0.0.1,::1", True), ("db.internal", False), ("10.0.0.5", False), ("127.0.0.1,10.0.0.5", False),
    ],
)  # fmt: skip
def test_only_this_machine_needs_no_tls(host: str, expected: bool) -> None:
    assert checks.is_here(host) is expected


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://10.0.0.5:6379", 1), ("redis+cluster://redis.internal:6379", 1), ("rediss://10.0.0.5:6379", 0),
        ("rediss+cluster://redis.internal:6379", 0), ("unix:///run/redis.sock", 0), ("redis://[::1]:6379", 0),
    ],
)  # fmt: skip
def test_a_redis_over_a_network_needs_tls(url: str, found: int) -> None:
    with override_settings(REDIS_URL=url, CELERY_BROKER_URL="redis://127.0.0.1:6379"):
        assert [message.id for message in checks.check_redis_is_encrypted(None)] == ["farebox.W001"] * found


def test_an_old_price_book_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    newest = latest_change(timezone.now().date())
    assert newest is not None

    def after(days: int) -> list[Any]:
        monkeypatch.setattr(checks, "latest_change", lambda _: timezone.now().date() - timedelta(days=days))
        return [message.id for message in checks.check_prices_are_recent(None)]

    assert after(180) == []
    assert after(181) == ["farebox.W003"]
    monkeypatch.setattr(checks, "latest_change", lambda _: None)
    assert [message.id for message in checks.check_prices_are_recent(None)] == ["farebox.W003"]
