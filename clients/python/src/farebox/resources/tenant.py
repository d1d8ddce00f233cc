"""tenant: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, cast

from farebox.resources.shared import DefaultBudget, ModelMarkupField
from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOut:
    """The tenant in the key's mode: settings and markup."""

    requests_per_minute: int | None = None
    burst: int | None = None
    in_flight_max: int | None = None
    name: str | None = None
    zone: str | None = None
    output_cap_plain: int | None = None
    output_cap_reasoning: int | None = None
    output_minimum: int | None = None
    require_hard_bound: bool | None = None
    margin_guard: Literal["off", "warn", "refuse"] | None = None
    allowances: dict[str, int | None] | None = None
    drain_seconds: int | None = None
    arrivals_per_hour_max: int | None = None
    overrun_stop_count: int | None = None
    overrun_stop_share_percent: Decimal | None = None
    unknown_customer: Literal["refuse", "default_budget"] | None = None
    default_budget: DefaultBudget | None = None
    tenant: str
    mode: str
    pending: bool
    markup_percent: Decimal | None = None
    markup_fixed_usd: Decimal | None = None
    markup_models: tuple[ModelMarkupField, ...] | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Tenant:
    """The resource tenant, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self) -> TenantOut:
        """Read the tenant's settings and markup."""
        ask = Ask("GET", "/api/v1/tenant")
        return cast("TenantOut", self._sender.call(ask, TenantOut))

    def change(
        self,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        zone: str | Unset = UNSET,
        output_cap_plain: int | Unset = UNSET,
        output_cap_reasoning: int | Unset = UNSET,
        output_minimum: int | Unset = UNSET,
        require_hard_bound: bool | Unset = UNSET,
        margin_guard: Literal["off", "warn", "refuse"] | Unset = UNSET,
        allowances: Mapping[str, int | None] | Unset = UNSET,
        drain_seconds: int | Unset = UNSET,
        arrivals_per_hour_max: int | Unset = UNSET,
        overrun_stop_count: int | Unset = UNSET,
        overrun_stop_share_percent: Decimal | str | Unset = UNSET,
        unknown_customer: Literal["refuse", "default_budget"] | Unset = UNSET,
        default_budget: Mapping[str, Any] | Unset | None = UNSET,
        markup_percent: Decimal | str | Unset = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> TenantOut:
        """Change settings and markup, in force for the next request; what is not given stays as it is."""
        ask = Ask(
            "PATCH",
            "/api/v1/tenant",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                zone=zone,
                output_cap_plain=output_cap_plain,
                output_cap_reasoning=output_cap_reasoning,
                output_minimum=output_minimum,
                require_hard_bound=require_hard_bound,
                margin_guard=margin_guard,
                allowances=allowances,
                drain_seconds=drain_seconds,
                arrivals_per_hour_max=arrivals_per_hour_max,
                overrun_stop_count=overrun_stop_count,
                overrun_stop_share_percent=overrun_stop_share_percent,
                unknown_customer=unknown_customer,
                default_budget=default_budget,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
        )
        return cast("TenantOut", self._sender.call(ask, TenantOut))


class AsyncTenant:
    """The resource tenant, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self) -> TenantOut:
        """Read the tenant's settings and markup."""
        ask = Ask("GET", "/api/v1/tenant")
        return cast("TenantOut", await self._sender.call(ask, TenantOut))

    async def change(
        self,
        *,
        requests_per_minute: int | Unset = UNSET,
        burst: int | Unset = UNSET,
        in_flight_max: int | Unset = UNSET,
        name: str | Unset = UNSET,
        zone: str | Unset = UNSET,
        output_cap_plain: int | Unset = UNSET,
        output_cap_reasoning: int | Unset = UNSET,
        output_minimum: int | Unset = UNSET,
        require_hard_bound: bool | Unset = UNSET,
        margin_guard: Literal["off", "warn", "refuse"] | Unset = UNSET,
        allowances: Mapping[str, int | None] | Unset = UNSET,
        drain_seconds: int | Unset = UNSET,
        arrivals_per_hour_max: int | Unset = UNSET,
        overrun_stop_count: int | Unset = UNSET,
        overrun_stop_share_percent: Decimal | str | Unset = UNSET,
        unknown_customer: Literal["refuse", "default_budget"] | Unset = UNSET,
        default_budget: Mapping[str, Any] | Unset | None = UNSET,
        markup_percent: Decimal | str | Unset = UNSET,
        markup_fixed_usd: Decimal | str | Unset = UNSET,
        markup_models: Sequence[Mapping[str, Any]] | Unset = UNSET,
    ) -> TenantOut:
        """Change settings and markup, in force for the next request; what is not given stays as it is."""
        ask = Ask(
            "PATCH",
            "/api/v1/tenant",
            body=given(
                requests_per_minute=requests_per_minute,
                burst=burst,
                in_flight_max=in_flight_max,
                name=name,
                zone=zone,
                output_cap_plain=output_cap_plain,
                output_cap_reasoning=output_cap_reasoning,
                output_minimum=output_minimum,
                require_hard_bound=require_hard_bound,
                margin_guard=margin_guard,
                allowances=allowances,
                drain_seconds=drain_seconds,
                arrivals_per_hour_max=arrivals_per_hour_max,
                overrun_stop_count=overrun_stop_count,
                overrun_stop_share_percent=overrun_stop_share_percent,
                unknown_customer=unknown_customer,
                default_budget=default_budget,
                markup_percent=markup_percent,
                markup_fixed_usd=markup_fixed_usd,
                markup_models=markup_models,
            ),
        )
        return cast("TenantOut", await self._sender.call(ask, TenantOut))
