"""prices: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOut:
    """A price as it is in force; ``source`` is ``tenant``, or the base book's note of where it comes from."""

    id: str
    provider: str
    model: str
    from_: datetime | None
    source: str
    input_usd_per_mtok: Decimal | None = None
    cache_read_usd_per_mtok: Decimal | None = None
    cache_write_5m_usd_per_mtok: Decimal | None = None
    cache_write_1h_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    audio_input_usd_per_mtok: Decimal | None = None
    audio_output_usd_per_mtok: Decimal | None = None
    image_input_usd_per_mtok: Decimal | None = None
    per_request_usd: Decimal
    tiers: dict[str, tuple[TierField, ...]]
    extras_usd: dict[str, Decimal]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class TierField:
    """A dearer rate for prompts above a size; the whole call is billed at it."""

    above_tokens: int
    usd_per_mtok: Decimal
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Prices:
    """The resource prices, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self, *, model: str | Unset = UNSET, provider: str | Unset = UNSET) -> Iterator[PriceOut]:
        """List the tenant's own price entries, newest first, the past ones too."""
        ask = Ask("GET", "/api/v1/prices", query=given(model=model, provider=provider))
        return self._sender.pages(ask, PriceOut)

    def get(self, provider: str, model: str, *, at: datetime | Unset = UNSET) -> PriceOut:
        """Read the price in force: the tenant's own, else the base book's."""
        ask = Ask(
            "GET", f"/api/v1/prices/{quote(provider, safe='')}/{quote(model, safe='')}", query=given(at=at)
        )
        return cast("PriceOut", self._sender.call(ask, PriceOut))

    def put(
        self,
        provider: str,
        model: str,
        *,
        input_usd_per_mtok: Decimal | str,
        cache_read_usd_per_mtok: Decimal | str | Unset = UNSET,
        cache_write_5m_usd_per_mtok: Decimal | str | Unset = UNSET,
        cache_write_1h_usd_per_mtok: Decimal | str | Unset = UNSET,
        output_usd_per_mtok: Decimal | str | Unset = UNSET,
        reasoning_usd_per_mtok: Decimal | str | Unset = UNSET,
        audio_input_usd_per_mtok: Decimal | str | Unset = UNSET,
        audio_output_usd_per_mtok: Decimal | str | Unset = UNSET,
        image_input_usd_per_mtok: Decimal | str | Unset = UNSET,
        per_request_usd: Decimal | str | Unset = UNSET,
        tiers: Mapping[str, Sequence[Mapping[str, Any]]] | Unset = UNSET,
        extras_usd: Mapping[str, Decimal | str] | Unset = UNSET,
        from_: datetime | Unset | None = UNSET,
    ) -> PriceOut:
        """Price a model from now, or from a later instant, on; what was before keeps its price."""
        ask = Ask(
            "PUT",
            f"/api/v1/prices/{quote(provider, safe='')}/{quote(model, safe='')}",
            body=given(
                input_usd_per_mtok=input_usd_per_mtok,
                cache_read_usd_per_mtok=cache_read_usd_per_mtok,
                cache_write_5m_usd_per_mtok=cache_write_5m_usd_per_mtok,
                cache_write_1h_usd_per_mtok=cache_write_1h_usd_per_mtok,
                output_usd_per_mtok=output_usd_per_mtok,
                reasoning_usd_per_mtok=reasoning_usd_per_mtok,
                audio_input_usd_per_mtok=audio_input_usd_per_mtok,
                audio_output_usd_per_mtok=audio_output_usd_per_mtok,
                image_input_usd_per_mtok=image_input_usd_per_mtok,
                per_request_usd=per_request_usd,
                tiers=tiers,
                extras_usd=extras_usd,
                from_=from_,
            ),
        )
        return cast("PriceOut", self._sender.call(ask, PriceOut))


class AsyncPrices:
    """The resource prices, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self, *, model: str | Unset = UNSET, provider: str | Unset = UNSET) -> AsyncIterator[PriceOut]:
        """List the tenant's own price entries, newest first, the past ones too."""
        ask = Ask("GET", "/api/v1/prices", query=given(model=model, provider=provider))
        return self._sender.pages(ask, PriceOut)

    async def get(self, provider: str, model: str, *, at: datetime | Unset = UNSET) -> PriceOut:
        """Read the price in force: the tenant's own, else the base book's."""
        ask = Ask(
            "GET", f"/api/v1/prices/{quote(provider, safe='')}/{quote(model, safe='')}", query=given(at=at)
        )
        return cast("PriceOut", await self._sender.call(ask, PriceOut))

    async def put(
        self,
        provider: str,
        model: str,
        *,
        input_usd_per_mtok: Decimal | str,
        cache_read_usd_per_mtok: Decimal | str | Unset = UNSET,
        cache_write_5m_usd_per_mtok: Decimal | str | Unset = UNSET,
        cache_write_1h_usd_per_mtok: Decimal | str | Unset = UNSET,
        output_usd_per_mtok: Decimal | str | Unset = UNSET,
        reasoning_usd_per_mtok: Decimal | str | Unset = UNSET,
        audio_input_usd_per_mtok: Decimal | str | Unset = UNSET,
        audio_output_usd_per_mtok: Decimal | str | Unset = UNSET,
        image_input_usd_per_mtok: Decimal | str | Unset = UNSET,
        per_request_usd: Decimal | str | Unset = UNSET,
        tiers: Mapping[str, Sequence[Mapping[str, Any]]] | Unset = UNSET,
        extras_usd: Mapping[str, Decimal | str] | Unset = UNSET,
        from_: datetime | Unset | None = UNSET,
    ) -> PriceOut:
        """Price a model from now, or from a later instant, on; what was before keeps its price."""
        ask = Ask(
            "PUT",
            f"/api/v1/prices/{quote(provider, safe='')}/{quote(model, safe='')}",
            body=given(
                input_usd_per_mtok=input_usd_per_mtok,
                cache_read_usd_per_mtok=cache_read_usd_per_mtok,
                cache_write_5m_usd_per_mtok=cache_write_5m_usd_per_mtok,
                cache_write_1h_usd_per_mtok=cache_write_1h_usd_per_mtok,
                output_usd_per_mtok=output_usd_per_mtok,
                reasoning_usd_per_mtok=reasoning_usd_per_mtok,
                audio_input_usd_per_mtok=audio_input_usd_per_mtok,
                audio_output_usd_per_mtok=audio_output_usd_per_mtok,
                image_input_usd_per_mtok=image_input_usd_per_mtok,
                per_request_usd=per_request_usd,
                tiers=tiers,
                extras_usd=extras_usd,
                from_=from_,
            ),
        )
        return cast("PriceOut", await self._sender.call(ask, PriceOut))
