"""What an API key may do: scopes, each ``<noun>:read`` or ``<noun>:write``; write implies read."""

from __future__ import annotations

from collections.abc import Iterable

from tenants.errors import InvalidInput

NOUNS = (
    "provider_accounts",
    "customers",
    "budgets",
    "keys",
    "prices",
    "settings",
    "audit_log",
    "usage",
    "holds",
    "billing",
)
SCOPES = tuple(f"{noun}:{right}" for noun in NOUNS for right in ("read", "write"))
ALL = "*"


def checked_scopes(given: Iterable[str] | None) -> list[str]:
    """Take known scopes only; none given = all of them. Raises: InvalidInput."""
    scopes = sorted(set(given)) if given is not None else [ALL]
    unknown = [scope for scope in scopes if scope != ALL and scope not in SCOPES]
    if unknown or not scopes:
        raise InvalidInput("scopes", f"{unknown or 'no scope'}: choose from {ALL} {' '.join(SCOPES)}")
    return scopes


def allows(scopes: Iterable[str], needed: str) -> bool:
    """Tell whether scopes allow what is needed."""
    noun, _, right = needed.partition(":")
    held = set(scopes)
    return bool(held & {ALL, needed} or (right == "read" and f"{noun}:write" in held))
