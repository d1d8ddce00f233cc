"""Rows as the documents that Redis is given: pure functions of rows already read.

A document is published under the version that was read *before* its other parts: what is newer than its version is
published again under the next one, what is older could never be corrected.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol, cast

from enforcement.keys import Mode as ModeName
from enforcement.policies import (
    BudgetRef,
    CustomerPolicy,
    KeyPolicy,
    MarginGuard,
    Markup,
    ModelMarkup,
    PublishedImport,
    PublishedPrice,
    RateLimit,
    TenantPolicy,
)
from enforcement.policies import ProviderAccount as PublishedAccount
from enforcement.policies import StoppedModel as PublishedStop
from tenants.models import (
    BasePriceEntry,
    Budget,
    Customer,
    Key,
    PriceEntry,
    ProviderAccount,
    StoppedModel,
    TenantSettings,
)
from tenants.upstreams import leads_to_private

NEVER_EXPIRES_MS = 0


class _Rated(Protocol):
    requests_per_minute: int
    burst: int
    in_flight_max: int


def milliseconds(at: datetime) -> int:
    """An instant in milliseconds since the epoch."""
    return int(at.timestamp() * 1000)


def budget_ref(budget: Budget) -> BudgetRef:
    """A budget as policies name it; the limit stands in its own record only."""
    row: Any = budget
    return BudgetRef(
        budget_id=row.pk,
        scope=row.scope,
        window_kind=row.window_kind,
        zone=row.zone,
        measure=row.measure,
        on_exhaustion=row.on_exhaustion,
        anchor_day=row.anchor_day,
    )


def key_policies(key: Key, budgets: Iterable[Budget]) -> list[tuple[str, KeyPolicy]]:
    """A key's policy under the digest of its secret, and of each retired one until its end."""
    kind = "customer" if key.kind == Key.Kind.CUSTOMER else "server"
    expires_ms = milliseconds(key.expires_at) if key.expires_at else NEVER_EXPIRES_MS
    refs = tuple(budget_ref(budget) for budget in budgets)

    def policy(ends_ms: int) -> KeyPolicy:
        return KeyPolicy(
            key_id=key.pk,
            tenant_id=key.tenant_id,
            mode=cast("ModeName", key.mode),
            kind=kind,  # type: ignore[arg-type]  # narrowed to str by the conditional
            customer_id=key.customer_id,
            state="revoked" if key.revoked_at else "active",
            expires_ms=ends_ms,
            models_allowed=tuple(key.models_allowed),
            rates=_rates(key.pk, key),
            budgets=refs,
        )

    retired = [(secret.digest, milliseconds(secret.expires_at)) for secret in key.retired_secrets.all()]
    return [
        (key.digest, policy(expires_ms)),
        *((digest, policy(min(ends_ms, expires_ms or ends_ms))) for digest, ends_ms in retired),
    ]


def customer_policy(customer: Customer, budgets: Iterable[Budget]) -> CustomerPolicy:
    """A customer's policy; without a markup of its own it follows the tenant's."""
    has_general = customer.markup_bp is not None
    own_markup = has_general or customer.markup_models
    return CustomerPolicy(
        customer_id=customer.pk,
        state="active" if customer.is_admitted else "suspended",
        models_allowed=tuple(customer.models_allowed),
        rates=(*_rates(customer.pk, customer), *_restricted_rates(customer)),
        budgets=tuple(budget_ref(budget) for budget in budgets),
        markup=_markup(
            customer.markup_bp or 0,
            customer.markup_fixed_nanousd,
            customer.markup_models,
            has_general=has_general,
        )
        if own_markup
        else None,
    )


def default_budget_ref(settings: TenantSettings) -> BudgetRef | None:
    """The template of a first-seen customer's budget; its id is filled in per customer."""
    if settings.default_limit_nanousd is None or settings.unknown_customer != "default_budget":
        return None
    row: Any = settings
    return BudgetRef(
        budget_id="",
        scope="customer",
        window_kind=row.default_window_kind,
        zone=row.zone_of_default_budget,
        measure=row.default_measure,
        on_exhaustion=row.default_on_exhaustion,
    )


def tenant_policy(
    settings: TenantSettings,
    *,
    accounts: Iterable[ProviderAccount],
    prices: Iterable[PriceEntry],
    budgets: Iterable[Budget],
    imported: Iterable[BasePriceEntry] = (),
    stopped: Iterable[StoppedModel] = (),
) -> TenantPolicy:
    """What holds for every call of a tenant in one mode."""
    default = default_budget_ref(settings)
    return TenantPolicy(
        tenant_id=settings.tenant_id,
        mode=cast("ModeName", settings.mode),
        state="active" if settings.tenant.state == "active" else "suspended",
        accounts=tuple(_account(account) for account in accounts),
        prices=tuple(_price(entry) for entry in prices),
        imported_prices=tuple(_imported(entry) for entry in imported),
        stopped_models=tuple(PublishedStop(stop.provider, stop.model) for stop in stopped),
        markup=_markup(settings.markup_bp, settings.markup_fixed_nanousd, settings.markup_models),
        budgets=tuple(budget_ref(budget) for budget in budgets),
        rates=_rates(settings.tenant_id, settings),
        output_cap_plain=settings.output_cap_plain,
        output_cap_reasoning=settings.output_cap_reasoning,
        output_minimum=settings.output_minimum,
        require_hard_bound=settings.require_hard_bound,
        margin_guard=cast("MarginGuard", settings.margin_guard),
        model_aliases=settings.model_aliases,
        allowances=settings.allowances,
        unknown_customer="default_budget" if default else "refuse",
        default_budget=default,
        drain_seconds=settings.drain_seconds,
    )


def _account(account: ProviderAccount) -> PublishedAccount:
    return PublishedAccount(
        account_id=account.pk,
        name=account.name,
        provider=account.provider,
        dialect=account.dialect,
        base_url=account.base_url,
        credential=account.credential,
        default=account.is_default,
        allow_private=leads_to_private(account.base_url),
        counts_exactly=account.counts_exactly,
    )


def _price(entry: PriceEntry) -> PublishedPrice:
    return PublishedPrice(
        price_id=entry.pk,
        provider=entry.provider,
        model=entry.model,
        from_ms=milliseconds(entry.from_at),
        rates=entry.rates,
        tiers={bucket: [(above, rate) for above, rate in steps] for bucket, steps in entry.tiers.items()},
        extras_nanousd=entry.extras_nanousd,
        per_request_nanousd=entry.per_request_nanousd,
    )


def _imported(entry: BasePriceEntry) -> PublishedImport:
    base = entry.price
    price = PublishedPrice(
        price_id=base.price_id,
        provider=base.provider,
        model=base.model,
        from_ms=milliseconds(entry.from_at),
        **base.document,
    )
    return PublishedImport(price, tuple(entry.names), base.service_tier)


def _markup(
    markup_bp: int, markup_fixed_nanousd: int, by_model: list[dict[str, Any]], *, has_general: bool = True
) -> Markup:
    return Markup(
        has_general=has_general,
        markup_bp=markup_bp,
        markup_fixed_nanousd=markup_fixed_nanousd,
        models=tuple(ModelMarkup(**row) for row in by_model),
    )


def _rates(limit_id: str, row: _Rated) -> tuple[RateLimit, ...]:
    if not (row.requests_per_minute or row.in_flight_max):
        return ()
    burst = row.burst or row.requests_per_minute
    return (RateLimit(limit_id, row.requests_per_minute, burst, row.in_flight_max),)


def _restricted_rates(customer: Customer) -> tuple[RateLimit, ...]:
    """A limit of its own beside the customer's: whichever is tighter refuses."""
    per_minute = customer.restricted_requests_per_minute
    if not per_minute:
        return ()
    return (RateLimit(f"{customer.pk}.restricted", per_minute, max(1, per_minute // 10)),)
