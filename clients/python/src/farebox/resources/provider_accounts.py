"""provider_accounts: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOut:
    """A provider account; of its credential only a hint."""

    id: str
    provider: str
    dialect: Literal["openai", "anthropic", "gemini"]
    name: str
    mode: str
    base_url: str
    credential_hint: str
    default: bool
    counts_exactly: bool
    state: Literal["active", "disabled"]
    warnings: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOut:
    """Whether an account works."""

    works: bool
    code: str
    message: str
    status: int | None
    latency_ms: int | None
    models: tuple[str, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class ProviderAccounts:
    """The resource provider_accounts, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self) -> Iterator[AccountOut]:
        """List provider accounts, newest first."""
        ask = Ask("GET", "/api/v1/provider-accounts")
        return self._sender.pages(ask, AccountOut)

    def create(
        self,
        *,
        provider: str,
        name: str,
        api_key: str,
        base_url: str | Unset | None = UNSET,
        dialect: Literal["openai", "anthropic", "gemini"] | Unset = UNSET,
        default: bool | Unset | None = UNSET,
        counts_exactly: bool | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> AccountOut:
        """Make a provider account; its credential is stored encrypted and never shown again."""
        ask = Ask(
            "POST",
            "/api/v1/provider-accounts",
            body=given(
                provider=provider,
                name=name,
                api_key=api_key,
                base_url=base_url,
                dialect=dialect,
                default=default,
                counts_exactly=counts_exactly,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("AccountOut", self._sender.call(ask, AccountOut))

    def get(self, account_id: str) -> AccountOut:
        """Read a provider account."""
        ask = Ask("GET", f"/api/v1/provider-accounts/{quote(account_id, safe='')}")
        return cast("AccountOut", self._sender.call(ask, AccountOut))

    def change(
        self,
        account_id: str,
        *,
        api_key: str | Unset = UNSET,
        base_url: str | Unset = UNSET,
        default: bool | Unset = UNSET,
        counts_exactly: bool | Unset = UNSET,
        state: Literal["active", "disabled"] | Unset = UNSET,
    ) -> AccountOut:
        """Change a provider account, in force for the next request; ``api_key`` rotates its credential."""
        ask = Ask(
            "PATCH",
            f"/api/v1/provider-accounts/{quote(account_id, safe='')}",
            body=given(
                api_key=api_key,
                base_url=base_url,
                default=default,
                counts_exactly=counts_exactly,
                state=state,
            ),
        )
        return cast("AccountOut", self._sender.call(ask, AccountOut))

    def delete(self, account_id: str) -> AccountOut:
        """Disable a provider account for ever and forget its credential."""
        ask = Ask("DELETE", f"/api/v1/provider-accounts/{quote(account_id, safe='')}")
        return cast("AccountOut", self._sender.call(ask, AccountOut))

    def test(self, account_id: str, *, idempotency_key: str | None = None) -> ProbeOut:
        """List the account's models with its credential; spends nothing. A failure is told in the answer."""
        ask = Ask(
            "POST",
            f"/api/v1/provider-accounts/{quote(account_id, safe='')}/test",
            idempotency_key=idempotency_key,
        )
        return cast("ProbeOut", self._sender.call(ask, ProbeOut))


class AsyncProviderAccounts:
    """The resource provider_accounts, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self) -> AsyncIterator[AccountOut]:
        """List provider accounts, newest first."""
        ask = Ask("GET", "/api/v1/provider-accounts")
        return self._sender.pages(ask, AccountOut)

    async def create(
        self,
        *,
        provider: str,
        name: str,
        api_key: str,
        base_url: str | Unset | None = UNSET,
        dialect: Literal["openai", "anthropic", "gemini"] | Unset = UNSET,
        default: bool | Unset | None = UNSET,
        counts_exactly: bool | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> AccountOut:
        """Make a provider account; its credential is stored encrypted and never shown again."""
        ask = Ask(
            "POST",
            "/api/v1/provider-accounts",
            body=given(
                provider=provider,
                name=name,
                api_key=api_key,
                base_url=base_url,
                dialect=dialect,
                default=default,
                counts_exactly=counts_exactly,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("AccountOut", await self._sender.call(ask, AccountOut))

    async def get(self, account_id: str) -> AccountOut:
        """Read a provider account."""
        ask = Ask("GET", f"/api/v1/provider-accounts/{quote(account_id, safe='')}")
        return cast("AccountOut", await self._sender.call(ask, AccountOut))

    async def change(
        self,
        account_id: str,
        *,
        api_key: str | Unset = UNSET,
        base_url: str | Unset = UNSET,
        default: bool | Unset = UNSET,
        counts_exactly: bool | Unset = UNSET,
        state: Literal["active", "disabled"] | Unset = UNSET,
    ) -> AccountOut:
        """Change a provider account, in force for the next request; ``api_key`` rotates its credential."""
        ask = Ask(
            "PATCH",
            f"/api/v1/provider-accounts/{quote(account_id, safe='')}",
            body=given(
                api_key=api_key,
                base_url=base_url,
                default=default,
                counts_exactly=counts_exactly,
                state=state,
            ),
        )
        return cast("AccountOut", await self._sender.call(ask, AccountOut))

    async def delete(self, account_id: str) -> AccountOut:
        """Disable a provider account for ever and forget its credential."""
        ask = Ask("DELETE", f"/api/v1/provider-accounts/{quote(account_id, safe='')}")
        return cast("AccountOut", await self._sender.call(ask, AccountOut))

    async def test(self, account_id: str, *, idempotency_key: str | None = None) -> ProbeOut:
        """List the account's models with its credential; spends nothing. A failure is told in the answer."""
        ask = Ask(
            "POST",
            f"/api/v1/provider-accounts/{quote(account_id, safe='')}/test",
            idempotency_key=idempotency_key,
        )
        return cast("ProbeOut", await self._sender.call(ask, ProbeOut))
