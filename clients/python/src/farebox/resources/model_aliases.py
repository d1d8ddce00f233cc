"""model_aliases: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

from farebox.shapes import given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasChanged:
    """A name that was given or taken away."""

    alias: str
    model: str
    pending: bool
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasOut:
    """A name and the model it stands for."""

    alias: str
    model: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class ModelAliases:
    """The resource model_aliases, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self) -> Iterator[AliasOut]:
        """List the tenant's own names for models, by name."""
        ask = Ask("GET", "/api/v1/model-aliases")
        return self._sender.pages(ask, AliasOut)

    def create(self, *, alias: str, model: str, idempotency_key: str | None = None) -> AliasChanged:
        """Give a model a name; calls that use it are served, priced and booked as the model's own."""
        ask = Ask(
            "POST",
            "/api/v1/model-aliases",
            body=given(alias=alias, model=model),
            idempotency_key=idempotency_key,
        )
        return cast("AliasChanged", self._sender.call(ask, AliasChanged))

    def delete(self, alias: str) -> None:
        """Take a name away, in force for the next request."""
        ask = Ask("DELETE", f"/api/v1/model-aliases/{quote(alias, safe='')}")
        self._sender.call(ask, None)


class AsyncModelAliases:
    """The resource model_aliases, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self) -> AsyncIterator[AliasOut]:
        """List the tenant's own names for models, by name."""
        ask = Ask("GET", "/api/v1/model-aliases")
        return self._sender.pages(ask, AliasOut)

    async def create(self, *, alias: str, model: str, idempotency_key: str | None = None) -> AliasChanged:
        """Give a model a name; calls that use it are served, priced and booked as the model's own."""
        ask = Ask(
            "POST",
            "/api/v1/model-aliases",
            body=given(alias=alias, model=model),
            idempotency_key=idempotency_key,
        )
        return cast("AliasChanged", await self._sender.call(ask, AliasChanged))

    async def delete(self, alias: str) -> None:
        """Take a name away, in force for the next request."""
        ask = Ask("DELETE", f"/api/v1/model-aliases/{quote(alias, safe='')}")
        await self._sender.call(ask, None)
