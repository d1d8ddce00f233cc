"""customers: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast
from urllib.parse import quote

from farebox.resources.shared import ModelMarkupField
from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerOut:
    """A customer."""

    id: str
    external_id: str
    name: str
    state: Literal["active", "suspended"]
    mode: str
    models_allowed: tuple[str, ...]
    requests_per_minute: int
    burst: int
    in_flight_max: int
    markup_percent: Decimal | None
    markup_fixed_usd: Decimal
    markup_models: tuple[ModelMarkupField, ...]
    metadata: dict[str, Any]
    arrived: bool
    restriction: RestrictionOut
    created_at: datetime
    updated_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedOut:
    """An erased customer."""

    id: str
    erased_at: datetime
    pending: bool
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOut:
    """What became of every line."""

    created: int
    changed: int
    failed: int
    pending: bool
    lines: tuple[ImportedLineOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedLineOut:
    """What became of one line; the header is line 1."""

    line: int
    external_id: str
    outcome: Literal["created", "changed", "failed"]
    customer_id: str
    error: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictionOut:
    """What is held against a customer while it does not pay; ``requests_per_minute`` 0 = no such limit."""

    suspended: bool
    requests_per_minute: int
    why: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Customers:
    """The resource customers, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self, *, external_id: str | Unset = UNSET, state: str | Unset = UNSET) -> Iterator[CustomerOut]:
        """List customers, newest first."""
        ask = Ask("GET", "/api/v1/customers", query=given(external_id=external_id, state=state))
        return self._sender.pages(ask, CustomerOut)

    def create(
        self,
        *,
        external_id: str,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        state: Literal["active", "suspended"] | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        metadata: Mapping[str, str] | Unset = UNSET,
        markup_percent: Decimal | str | Unset | None = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> CustomerOut:
        """Make a customer."""
        ask = Ask(
            "POST",
            "/api/v1/customers",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                external_id=external_id,
                name=name,
                state=state,
                models_allowed=models_allowed,
                metadata=metadata,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("CustomerOut", self._sender.call(ask, CustomerOut))

    def get_by_external_id(self, external_id: str) -> CustomerOut:
        """Read a customer by the tenant's own id."""
        ask = Ask("GET", f"/api/v1/customers/by-external-id/{quote(external_id, safe='')}")
        return cast("CustomerOut", self._sender.call(ask, CustomerOut))

    def upsert(
        self,
        external_id: str,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        state: Literal["active", "suspended"] | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        metadata: Mapping[str, str] | Unset = UNSET,
        markup_percent: Decimal | str | Unset | None = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> CustomerOut:
        """Make the customer of this external id, or change it; what is not given stays as it is."""
        ask = Ask(
            "PUT",
            f"/api/v1/customers/by-external-id/{quote(external_id, safe='')}",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                state=state,
                models_allowed=models_allowed,
                metadata=metadata,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
        )
        return cast("CustomerOut", self._sender.call(ask, CustomerOut))

    def import_(self, *, csv: str | Unset = UNSET, idempotency_key: str | None = None) -> ImportOut:
        """Make or change a customer per line: external_id, name, limit_usd, window, on_exhaustion, markup_percent,"""
        ask = Ask("POST", "/api/v1/customers/import", body=given(csv=csv), idempotency_key=idempotency_key)
        return cast("ImportOut", self._sender.call(ask, ImportOut))

    def get(self, customer_id: str) -> CustomerOut:
        """Read a customer."""
        ask = Ask("GET", f"/api/v1/customers/{quote(customer_id, safe='')}")
        return cast("CustomerOut", self._sender.call(ask, CustomerOut))

    def change(
        self,
        customer_id: str,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        state: Literal["active", "suspended"] | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        metadata: Mapping[str, str] | Unset = UNSET,
        markup_percent: Decimal | str | Unset | None = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> CustomerOut:
        """Change a customer, in force for its next request."""
        ask = Ask(
            "PATCH",
            f"/api/v1/customers/{quote(customer_id, safe='')}",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                state=state,
                models_allowed=models_allowed,
                metadata=metadata,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
        )
        return cast("CustomerOut", self._sender.call(ask, CustomerOut))

    def erase(
        self, customer_id: str, *, force: bool | Unset = UNSET, idempotency_key: str | None = None
    ) -> ErasedOut:
        """Erase a customer: who it was goes, amounts and rows stay. 409 names what has to end first."""
        ask = Ask(
            "POST",
            f"/api/v1/customers/{quote(customer_id, safe='')}/erase",
            body=given(force=force),
            idempotency_key=idempotency_key,
        )
        return cast("ErasedOut", self._sender.call(ask, ErasedOut))

    def export(self, customer_id: str) -> dict[str, Any]:
        """Download all that is held about a customer as one JSON document; it is an audit entry."""
        ask = Ask("GET", f"/api/v1/customers/{quote(customer_id, safe='')}/export")
        return cast("dict[str, Any]", self._sender.call(ask, dict[str, Any]))


class AsyncCustomers:
    """The resource customers, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def list(
        self, *, external_id: str | Unset = UNSET, state: str | Unset = UNSET
    ) -> AsyncIterator[CustomerOut]:
        """List customers, newest first."""
        ask = Ask("GET", "/api/v1/customers", query=given(external_id=external_id, state=state))
        return self._sender.pages(ask, CustomerOut)

    async def create(
        self,
        *,
        external_id: str,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        state: Literal["active", "suspended"] | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        metadata: Mapping[str, str] | Unset = UNSET,
        markup_percent: Decimal | str | Unset | None = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> CustomerOut:
        """Make a customer."""
        ask = Ask(
            "POST",
            "/api/v1/customers",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                external_id=external_id,
                name=name,
                state=state,
                models_allowed=models_allowed,
                metadata=metadata,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
            idempotency_key=idempotency_key,
        )
        return cast("CustomerOut", await self._sender.call(ask, CustomerOut))

    async def get_by_external_id(self, external_id: str) -> CustomerOut:
        """Read a customer by the tenant's own id."""
        ask = Ask("GET", f"/api/v1/customers/by-external-id/{quote(external_id, safe='')}")
        return cast("CustomerOut", await self._sender.call(ask, CustomerOut))

    async def upsert(
        self,
        external_id: str,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        state: Literal["active", "suspended"] | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        metadata: Mapping[str, str] | Unset = UNSET,
        markup_percent: Decimal | str | Unset | None = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> CustomerOut:
        """Make the customer of this external id, or change it; what is not given stays as it is."""
        ask = Ask(
            "PUT",
            f"/api/v1/customers/by-external-id/{quote(external_id, safe='')}",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                state=state,
                models_allowed=models_allowed,
                metadata=metadata,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
        )
        return cast("CustomerOut", await self._sender.call(ask, CustomerOut))

    async def import_(self, *, csv: str | Unset = UNSET, idempotency_key: str | None = None) -> ImportOut:
        """Make or change a customer per line: external_id, name, limit_usd, window, on_exhaustion, markup_percent,"""
        ask = Ask("POST", "/api/v1/customers/import", body=given(csv=csv), idempotency_key=idempotency_key)
        return cast("ImportOut", await self._sender.call(ask, ImportOut))

    async def get(self, customer_id: str) -> CustomerOut:
        """Read a customer."""
        ask = Ask("GET", f"/api/v1/customers/{quote(customer_id, safe='')}")
        return cast("CustomerOut", await self._sender.call(ask, CustomerOut))

    async def change(
        self,
        customer_id: str,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        state: Literal["active", "suspended"] | Unset = UNSET,
        models_allowed: Sequence[str] | Unset = UNSET,
        metadata: Mapping[str, str] | Unset = UNSET,
        markup_percent: Decimal | str | Unset | None = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> CustomerOut:
        """Change a customer, in force for its next request."""
        ask = Ask(
            "PATCH",
            f"/api/v1/customers/{quote(customer_id, safe='')}",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                state=state,
                models_allowed=models_allowed,
                metadata=metadata,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
        )
        return cast("CustomerOut", await self._sender.call(ask, CustomerOut))

    async def erase(
        self, customer_id: str, *, force: bool | Unset = UNSET, idempotency_key: str | None = None
    ) -> ErasedOut:
        """Erase a customer: who it was goes, amounts and rows stay. 409 names what has to end first."""
        ask = Ask(
            "POST",
            f"/api/v1/customers/{quote(customer_id, safe='')}/erase",
            body=given(force=force),
            idempotency_key=idempotency_key,
        )
        return cast("ErasedOut", await self._sender.call(ask, ErasedOut))

    async def export(self, customer_id: str) -> dict[str, Any]:
        """Download all that is held about a customer as one JSON document; it is an audit entry."""
        ask = Ask("GET", f"/api/v1/customers/{quote(customer_id, safe='')}/export")
        return cast("dict[str, Any]", await self._sender.call(ask, dict[str, Any]))
