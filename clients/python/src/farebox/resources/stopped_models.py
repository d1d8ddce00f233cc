"""stopped_models: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast
from urllib.parse import quote

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedModelOut:
    """One stop of a model, with the day's figures it rests on."""

    id: str
    provider: str
    model: str
    day: date
    calls: int
    overruns: int
    created_at: datetime
    resumed_at: datetime | None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class StoppedModels:
    """The resource stopped_models, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self, *, model: str | Unset = UNSET, provider: str | Unset = UNSET) -> Iterator[StoppedModelOut]:
        """List models stopped for costing more than their quotes, newest first; ``resumed_at`` says since when not."""
        ask = Ask("GET", "/api/v1/stopped-models", query=given(model=model, provider=provider))
        return self._sender.pages(ask, StoppedModelOut)

    def resume(self, stop_id: str, *, idempotency_key: str | None = None) -> StoppedModelOut:
        """Admit a stopped model again, in force for the next request; overruns so far count no more."""
        ask = Ask(
            "POST",
            f"/api/v1/stopped-models/{quote(stop_id, safe='')}/resume",
            idempotency_key=idempotency_key,
        )
        return cast("StoppedModelOut", self._sender.call(ask, StoppedModelOut))


class AsyncStoppedModels:
    """The resource stopped_models, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self, *, model: str | Unset = UNSET, provider: str | Unset = UNSET
    ) -> AsyncIterator[StoppedModelOut]:
        """List models stopped for costing more than their quotes, newest first; ``resumed_at`` says since when not."""
        ask = Ask("GET", "/api/v1/stopped-models", query=given(model=model, provider=provider))
        return self._sender.pages(ask, StoppedModelOut)

    async def resume(self, stop_id: str, *, idempotency_key: str | None = None) -> StoppedModelOut:
        """Admit a stopped model again, in force for the next request; overruns so far count no more."""
        ask = Ask(
            "POST",
            f"/api/v1/stopped-models/{quote(stop_id, safe='')}/resume",
            idempotency_key=idempotency_key,
        )
        return cast("StoppedModelOut", await self._sender.call(ask, StoppedModelOut))
