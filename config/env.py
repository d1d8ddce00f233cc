"""Typed readers of the environment. A missing or malformed value stops the process and names the variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

Environment = Literal["development", "production"]


class EnvError(SystemExit):
    """A variable is missing or malformed; the message names it and says what would do."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem} (see docs/env.md)")


def text(name: str, default: str | None = None, *, env: Mapping[str, str] = os.environ) -> str:
    """Read a string; without a default it must be set and not empty."""
    value = env.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise EnvError(name, "is not set")
    return default


def integer(name: str, default: int, *, env: Mapping[str, str] = os.environ) -> int:
    """Read a whole number."""
    value = env.get(name, "").strip()
    if not value:
        return default
    try:
        return int(value)
    except ValueError:
        raise EnvError(name, f"{value!r} is no whole number") from None


def choice(name: str, allowed: tuple[str, ...], default: str, *, env: Mapping[str, str] = os.environ) -> str:
    """Read one of a few words."""
    value = env.get(name, "").strip() or default
    if value not in allowed:
        raise EnvError(name, f"{value!r} is none of {', '.join(allowed)}")
    return value


def words(name: str, *, env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Read a comma-separated list; empty when unset."""
    return tuple(word.strip() for word in env.get(name, "").split(",") if word.strip())


def secret_words(name: str, *, env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Read a comma-separated list of secrets that must not be empty: secrets have no default."""
    found = words(name, env=env)
    if not found:
        raise EnvError(name, "is not set; make a key with `python -m config.secretkey`")
    return found
