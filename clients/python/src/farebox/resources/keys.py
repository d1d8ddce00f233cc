"""keys: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyIssued:
    """A key with its secret, this once."""

    id: str
    kind: Literal["customer", "server", "api"]
    mode: str
    customer: str | None
    name: str
    prefix: str
    state: Literal["active", "revoked"]
    scopes: tuple[str, ...]
    models_allowed: tuple[str, ...]
    requests_per_minute: int
    burst: int
    in_flight_max: int
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    retired_secrets: tuple[RetiredSecretOut, ...]
    key: str
    pending: bool
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOut:
    """A key; its secret was shown once."""

    id: str
    kind: Literal["customer", "server", "api"]
    mode: str
    customer: str | None
    name: str
    prefix: str
    state: Literal["active", "revoked"]
    scopes: tuple[str, ...]
    models_allowed: tuple[str, ...]
    requests_per_minute: int
    burst: int
    in_flight_max: int
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    retired_secrets: tuple[RetiredSecretOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredSecretOut:
    """An earlier secret of a key."""

    prefix: str
    expires_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Keys:
    """The resource keys, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self, *, customer: str | Unset = UNSET, kind: str | Unset = UNSET) -> Iterator[KeyOut]:
        """List keys, newest first; secrets are never shown again."""
        ask = Ask("GET", "/api/v1/keys", query=given(customer=customer, kind=kind))
        return self._sender.pages(ask, KeyOut)

    def create(
        self,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        customer: str | Unset | None = UNSET,
        kind: Literal["customer", "server", "api"] | Unset = UNSET,
        scopes: Sequence[str] | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> KeyIssued:
        """Make a key; its secret is in this answer and nowhere else."""
        ask = Ask(
            "POST",
            "/api/v1/keys",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                models_allowed=models_allowed,
                expires_at=expires_at,
                customer=customer,
                kind=kind,
                scopes=scopes,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("KeyIssued", self._sender.call(ask, KeyIssued))

    def get(self, key_id: str) -> KeyOut:
        """Read a key."""
        ask = Ask("GET", f"/api/v1/keys/{quote(key_id, safe='')}")
        return cast("KeyOut", self._sender.call(ask, KeyOut))

    def change(
        self,
        key_id: str,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
    ) -> KeyOut:
        """Change a key, in force for its next request."""
        ask = Ask(
            "PATCH",
            f"/api/v1/keys/{quote(key_id, safe='')}",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                models_allowed=models_allowed,
                expires_at=expires_at,
            ),
        )
        return cast("KeyOut", self._sender.call(ask, KeyOut))

    def revoke(self, key_id: str, *, idempotency_key: str | None = None) -> KeyOut:
        """Revoke a key for ever; 200 means that no further request passes with it."""
        ask = Ask("POST", f"/api/v1/keys/{quote(key_id, safe='')}/revoke", idempotency_key=idempotency_key)
        return cast("KeyOut", self._sender.call(ask, KeyOut))

    def rotate(
        self, key_id: str, *, overlap_seconds: int | Unset = UNSET, idempotency_key: str | None = None
    ) -> KeyIssued:
        """Give a key a new secret, shown once; the old one stays good for ``overlap_seconds``."""
        ask = Ask(
            "POST",
            f"/api/v1/keys/{quote(key_id, safe='')}/rotate",
            body=given(overlap_seconds=overlap_seconds),
            idempotency_key=idempotency_key,
        )
        return cast("KeyIssued", self._sender.call(ask, KeyIssued))


class AsyncKeys:
    """The resource keys, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self, *, customer: str | Unset = UNSET, kind: str | Unset = UNSET) -> AsyncIterator[KeyOut]:
        """List keys, newest first; secrets are never shown again."""
        ask = Ask("GET", "/api/v1/keys", query=given(customer=customer, kind=kind))
        return self._sender.pages(ask, KeyOut)

    async def create(
        self,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        customer: str | Unset | None = UNSET,
        kind: Literal["customer", "server", "api"] | Unset = UNSET,
        scopes: Sequence[str] | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> KeyIssued:
        """Make a key; its secret is in this answer and nowhere else."""
        ask = Ask(
            "POST",
            "/api/v1/keys",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                models_allowed=models_allowed,
                expires_at=expires_at,
                customer=customer,
                kind=kind,
                scopes=scopes,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("KeyIssued", await self._sender.call(ask, KeyIssued))

    async def get(self, key_id: str) -> KeyOut:
        """Read a key."""
        ask = Ask("GET", f"/api/v1/keys/{quote(key_id, safe='')}")
        return cast("KeyOut", await self._sender.call(ask, KeyOut))

    async def change(
        self,
        key_id: str,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
    ) -> KeyOut:
        """Change a key, in force for its next request."""
        ask = Ask(
            "PATCH",
            f"/api/v1/keys/{quote(key_id, safe='')}",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                models_allowed=models_allowed,
                expires_at=expires_at,
            ),
        )
        return cast("KeyOut", await self._sender.call(ask, KeyOut))

    async def revoke(self, key_id: str, *, idempotency_key: str | None = None) -> KeyOut:
        """Revoke a key for ever; 200 means that no further request passes with it."""
        ask = Ask("POST", f"/api/v1/keys/{quote(key_id, safe='')}/revoke", idempotency_key=idempotency_key)
        return cast("KeyOut", await self._sender.call(ask, KeyOut))

    async def rotate(
        self, key_id: str, *, overlap_seconds: int | Unset = UNSET, idempotency_key: str | None = None
    ) -> KeyIssued:
        """Give a key a new secret, shown once; the old one stays good for ``overlap_seconds``."""
        ask = Ask(
            "POST",
            f"/api/v1/keys/{quote(key_id, safe='')}/rotate",
            body=given(overlap_seconds=overlap_seconds),
            idempotency_key=idempotency_key,
        )
        return cast("KeyIssued", await self._sender.call(ask, KeyIssued))
