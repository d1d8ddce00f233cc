"""markup: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from farebox.resources.shared import ModelMarkupField
from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkupOut:
    """The tenant's markup in the key's mode."""

    markup_percent: Decimal | None = None
    markup_fixed_usd: Decimal | None = None
    markup_models: tuple[ModelMarkupField, ...] | None = None
    pending: bool
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Markup:
    """The resource markup, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self) -> MarkupOut:
        """Read the tenant's markup."""
        ask = Ask("GET", "/api/v1/markup")
        return cast("MarkupOut", self._sender.call(ask, MarkupOut))

    def put(
        self,
        *,
        markup_percent: Decimal | str | Unset = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> MarkupOut:
        """Set the whole markup; what is not given is none. Customers with one of their own keep it."""
        ask = Ask(
            "PUT",
            "/api/v1/markup",
            body=given(
                markup_percent=markup_percent, markup_fixed_usd=markup_fixed_usd, markup_models=markup_models
            ),
        )
        return cast("MarkupOut", self._sender.call(ask, MarkupOut))


class AsyncMarkup:
    """The resource markup, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self) -> MarkupOut:
        """Read the tenant's markup."""
        ask = Ask("GET", "/api/v1/markup")
        return cast("MarkupOut", await self._sender.call(ask, MarkupOut))

    async def put(
        self,
        *,
        markup_percent: Decimal | str | Unset = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> MarkupOut:
        """Set the whole markup; what is not given is none. Customers with one of their own keep it."""
        ask = Ask(
            "PUT",
            "/api/v1/markup",
            body=given(
                markup_percent=markup_percent, markup_fixed_usd=markup_fixed_usd, markup_models=markup_models
            ),
        )
        return cast("MarkupOut", await self._sender.call(ask, MarkupOut))
