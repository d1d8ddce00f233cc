"""billing_connection: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from farebox.shapes import given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOut:
    """One check of a connection."""

    name: str
    ok: bool
    found: str
    advice: str
    is_serious: bool
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksOut:
    """A connection looked over."""

    status: str
    checks: tuple[CheckOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOut:
    """A connection to Stripe; of its key only the end."""

    id: str
    mode: str
    kind: Literal["restricted_key", "connect"]
    status: Literal["new", "ok", "broken", "disconnected"]
    why: str
    key_last4: str
    stripe_account: str
    api_version: str
    scopes_missing: tuple[str, ...]
    events: str
    simulated: bool
    checked_at: datetime | None
    created_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingConnection:
    """The resource billing_connection, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self) -> ConnectionOut:
        """Read the connection; 409 where there is none."""
        ask = Ask("GET", "/api/v1/billing/connection")
        return cast("ConnectionOut", self._sender.call(ask, ConnectionOut))

    def create(self, *, api_key: str, idempotency_key: str | None = None) -> ConnectionOut:
        """Connect a Stripe account with a restricted key; every permission is tried before anything is kept."""
        ask = Ask(
            "POST", "/api/v1/billing/connection", body=given(api_key=api_key), idempotency_key=idempotency_key
        )
        return cast("ConnectionOut", self._sender.call(ask, ConnectionOut))

    def delete(self) -> ConnectionOut:
        """End the connection and forget its key; meters and mappings stay for when the account comes back."""
        ask = Ask("DELETE", "/api/v1/billing/connection")
        return cast("ConnectionOut", self._sender.call(ask, ConnectionOut))

    def check(self, *, idempotency_key: str | None = None) -> ChecksOut:
        """Try everything again and say, check by check, what is wrong and what to do. Nothing at Stripe is changed."""
        ask = Ask("POST", "/api/v1/billing/connection/check", idempotency_key=idempotency_key)
        return cast("ChecksOut", self._sender.call(ask, ChecksOut))

    def rotate(self, *, api_key: str, idempotency_key: str | None = None) -> ConnectionOut:
        """Give the connection another key of the same Stripe account; what waited for one goes on."""
        ask = Ask(
            "POST",
            "/api/v1/billing/connection/rotate",
            body=given(api_key=api_key),
            idempotency_key=idempotency_key,
        )
        return cast("ConnectionOut", self._sender.call(ask, ConnectionOut))

    def register_webhook(self, *, idempotency_key: str | None = None) -> ConnectionOut:
        """Have Stripe send its events here; again to rotate the signing secrets. 409 where Stripe cannot reach us."""
        ask = Ask("POST", "/api/v1/billing/connection/webhook", idempotency_key=idempotency_key)
        return cast("ConnectionOut", self._sender.call(ask, ConnectionOut))


class AsyncBillingConnection:
    """The resource billing_connection, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self) -> ConnectionOut:
        """Read the connection; 409 where there is none."""
        ask = Ask("GET", "/api/v1/billing/connection")
        return cast("ConnectionOut", await self._sender.call(ask, ConnectionOut))

    async def create(self, *, api_key: str, idempotency_key: str | None = None) -> ConnectionOut:
        """Connect a Stripe account with a restricted key; every permission is tried before anything is kept."""
        ask = Ask(
            "POST", "/api/v1/billing/connection", body=given(api_key=api_key), idempotency_key=idempotency_key
        )
        return cast("ConnectionOut", await self._sender.call(ask, ConnectionOut))

    async def delete(self) -> ConnectionOut:
        """End the connection and forget its key; meters and mappings stay for when the account comes back."""
        ask = Ask("DELETE", "/api/v1/billing/connection")
        return cast("ConnectionOut", await self._sender.call(ask, ConnectionOut))

    async def check(self, *, idempotency_key: str | None = None) -> ChecksOut:
        """Try everything again and say, check by check, what is wrong and what to do. Nothing at Stripe is changed."""
        ask = Ask("POST", "/api/v1/billing/connection/check", idempotency_key=idempotency_key)
        return cast("ChecksOut", await self._sender.call(ask, ChecksOut))

    async def rotate(self, *, api_key: str, idempotency_key: str | None = None) -> ConnectionOut:
        """Give the connection another key of the same Stripe account; what waited for one goes on."""
        ask = Ask(
            "POST",
            "/api/v1/billing/connection/rotate",
            body=given(api_key=api_key),
            idempotency_key=idempotency_key,
        )
        return cast("ConnectionOut", await self._sender.call(ask, ConnectionOut))

    async def register_webhook(self, *, idempotency_key: str | None = None) -> ConnectionOut:
        """Have Stripe send its events here; again to rotate the signing secrets. 409 where Stripe cannot reach us."""
        ask = Ask("POST", "/api/v1/billing/connection/webhook", idempotency_key=idempotency_key)
        return cast("ConnectionOut", await self._sender.call(ask, ConnectionOut))
