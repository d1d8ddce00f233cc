"""Who may do what: API keys, their scopes and the accounts they reach."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from simulators.stripe.refusals import Refused

DEFAULT_ACCOUNT: Final = "acct_sim"
DEFAULT_KEYS: Final = ["sk_test_sim", "rk_test_sim", "sk_live_sim", "rk_live_sim"]
_KEY = re.compile(r"^(sk|rk)_(test|live)_\w+$")


@dataclass(slots=True)
class Key:
    """One API key; `scopes` None means everything, as a secret key may."""

    text: str
    account: str = DEFAULT_ACCOUNT
    scopes: list[str] | None = None
    status: str = "active"  # active, expired, revoked

    @property
    def livemode(self) -> bool:
        """Say whether the key is for live mode."""
        return "_live_" in self.text

    @property
    def masked(self) -> str:
        """Write the key as Stripe's messages do."""
        return f"{self.text[:8]}{'*' * 10}{self.text[-4:]}"

    @property
    def fingerprint(self) -> str:
        """Name the key in a log without showing it."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


@dataclass(slots=True)
class Keys:
    """The keys that exist, and the accounts connected to a platform: account → platform."""

    given: list[str]
    by_text: dict[str, Key] = field(default_factory=dict)
    connected: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in [*DEFAULT_KEYS, *self.given]:
            name, _, account = text.partition("@")
            self.add(Key(name, account or DEFAULT_ACCOUNT))

    def add(self, key: Key) -> None:
        """Add a key or replace it."""
        if not _KEY.match(key.text):
            raise Refused(400, f"'{key.text[:8]}…' is not of the form (sk|rk)_(test|live)_….")
        self.by_text[key.text] = key

    def authenticate(self, header: str) -> Key:
        """Find the key of an Authorization header, or refuse with a 401."""
        text = _read_authorization(header)
        if not text:
            raise _unauthorized("You did not provide an API key.")
        key = self.by_text.get(text)
        if key is None:
            masked = f"{text[:8]}{'*' * 8}{text[-4:]}"
            raise _unauthorized(f"Invalid API Key provided: {masked}")
        if key.status == "expired":
            raise _unauthorized(f"Expired API Key provided: {key.masked}", code="api_key_expired")
        if key.status != "active":
            raise _unauthorized(f"Invalid API Key provided: {key.masked}")
        return key

    def reach(self, key: Key, account: str | None) -> str:
        """Name the account that a request acts on, or refuse it."""
        if account is None or account == key.account:
            return key.account
        if self.connected.get(account) != key.account:
            message = (
                f"The provided key '{key.masked}' does not have access to account '{account}' (or that "
                "account does not exist). Application access may have been revoked."
            )
            raise Refused(403, message, code="account_invalid").unsaved()
        return account


def permit(key: Key, permission: str, account: str) -> None:
    """Refuse with a 403 when a restricted key lacks a permission; write implies read."""
    if key.scopes is None or not permission:
        return
    if permission in key.scopes or permission.replace("_read", "_write") in key.scopes:
        return
    message = (
        f"The provided key '{key.masked}' does not have the required permissions for this endpoint on "
        f"account '{account}'. Having the 'rak_{permission}' permission would allow this request to continue."
    )
    raise Refused(403, message).unsaved()


def _read_authorization(header: str) -> str:
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest).decode("latin-1").partition(":")[0]
    except binascii.Error:
        return ""


def _unauthorized(message: str, *, code: str | None = None) -> Refused:
    return Refused(401, message, code=code).unsaved()
