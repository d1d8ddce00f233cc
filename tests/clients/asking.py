"""What the checks of every Python client share. It runs in environments that know nothing of ours."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.metadata import version

URL, KEY, POOR_KEY = (os.environ[f"FAREBOX_{name}"] for name in ("URL", "KEY", "POOR_KEY"))
HELLO = "Say hello"
MESSAGES = [{"role": "user", "content": HELLO}]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "get_weather", "description": "Tell the weather", "parameters": SCHEMA}
# Attempts of a client that tries twice more by its own default, where it is told to come again.
EAGER = 3
asked: Counter[str] = Counter()


def served(times: int = 1) -> None:
    """Note calls that were answered."""
    asked["ok"] += times


def refused(kind: type[Exception], code: str, call: Callable[[], object], *, attempts: int = 1) -> Exception:
    """Expect one typed error, after as many attempts as the gateway has to have counted."""
    asked[code] += attempts
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{code}: not refused")


def run(packages: str, checks: Mapping[str, Callable[[], None]]) -> None:
    """Run a client's checks by name, saying one line of JSON for each; exits with how many failed."""
    names = " on ".join(f"{package} {version(package)}" for package in packages.split())
    failed = 0
    for scenario, check in checks.items():
        asked.clear()
        wrong = ""
        try:
            check()
        except Exception as error:
            traceback.print_exc()
            wrong = f"{type(error).__name__}: {error}"[:200]
            failed += 1
        line = {"client": names, "scenario": scenario, "wrong": wrong, "asked": asked}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    sys.exit(failed)
