"""billing_push_destinations: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationOut:
    """A webhook that takes pushes. ``secret`` is there once: when it was made."""

    id: str
    url: str
    currency: str
    unit_minor: int
    status: str
    why: str
    secret: str | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class BillingPushDestinations:
    """The resource billing_push_destinations, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self) -> Iterator[DestinationOut]:
        """List the destination of the key's mode: one or none."""
        ask = Ask("GET", "/api/v1/billing/push-destinations")
        return self._sender.pages(ask, DestinationOut)

    def put(self, *, url: str, currency: str | Unset = UNSET) -> DestinationOut:
        """Set where pushes go, with a fresh signing secret."""
        ask = Ask("PUT", "/api/v1/billing/push-destinations", body=given(url=url, currency=currency))
        return cast("DestinationOut", self._sender.call(ask, DestinationOut))


class AsyncBillingPushDestinations:
    """The resource billing_push_destinations, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(self) -> AsyncIterator[DestinationOut]:
        """List the destination of the key's mode: one or none."""
        ask = Ask("GET", "/api/v1/billing/push-destinations")
        return self._sender.pages(ask, DestinationOut)

    async def put(self, *, url: str, currency: str | Unset = UNSET) -> DestinationOut:
        """Set where pushes go, with a fresh signing secret."""
        ask = Ask("PUT", "/api/v1/billing/push-destinations", body=given(url=url, currency=currency))
        return cast("DestinationOut", await self._sender.call(ask, DestinationOut))
