"""Rows as the calls that tell Redis about them: one by one when they change, all of a shard when it is rebuilt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from enforcement.control_calls import ControlCall, publish_call, publish_customer_call, set_default_call
from enforcement.keys import Scope
from enforcement.policies import encode_policy
from metering.providers import price_source
from tenants import projection
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

ROWS_PER_QUERY = 500


def scope_of(row: Budget | Customer | Key | TenantSettings) -> Scope:
    """The tenant and mode of a row, as Redis knows them."""
    return Scope(row.tenant_id, "live" if row.mode == "live" else "test")


def _with_budgets(scope: str) -> Prefetch[str, QuerySet[Budget], str]:
    """Budgets that a policy names; those of runs, tags and models are not drawn on by every call."""
    return Prefetch(
        "budgets", Budget.objects.in_force().filter(scope=scope).order_by("pk"), to_attr="budgets_named"
    )


def keys_to_publish() -> QuerySet[Key]:
    """Keys with all that their policies say. API keys are the control plane's own; Redis never hears of them."""
    return Key.objects.exclude(kind=Key.Kind.API).prefetch_related(
        _with_budgets(Budget.Scope.KEY), "retired_secrets"
    )


def customers_to_publish() -> QuerySet[Customer]:
    """Customers with all that their policies say."""
    return Customer.objects.prefetch_related(_with_budgets(Budget.Scope.CUSTOMER))


def calls_of_key(key: Key) -> Iterator[ControlCall]:
    """Publish a key from ``keys_to_publish`` under each of its digests."""
    scope, budgets = scope_of(key), key.budgets_named  # type: ignore[attr-defined]  # prefetched
    for digest, policy in projection.key_policies(key, budgets):
        yield publish_call(scope, scope.key_policy(digest), version=key.version, body=encode_policy(policy))


def calls_of_customer(customer: Customer) -> Iterator[ControlCall]:
    """Publish a customer from ``customers_to_publish``, and its place in the index."""
    policy = projection.customer_policy(customer, customer.budgets_named)  # type: ignore[attr-defined]  # prefetched
    yield publish_customer_call(
        scope_of(customer),
        customer.pk,
        digest=customer.external_digest,
        version=customer.version,
        body=encode_policy(policy),
    )


def calls_of_tenant(settings: TenantSettings) -> Iterator[ControlCall]:
    """Publish a tenant's policy and its default budget in one mode."""
    tenant, mode, scope = settings.tenant, settings.mode, scope_of(settings)
    accounts = ProviderAccount.objects.for_scope(tenant, mode).filter(state=ProviderAccount.State.ACTIVE)
    budgets = Budget.objects.for_scope(tenant, mode).in_force().filter(scope=Budget.Scope.TENANT)
    served = list(accounts.order_by("pk"))
    policy = projection.tenant_policy(
        settings,
        accounts=served,
        imported=imports_for({price_source(account.provider) for account in served}),
        stopped=StoppedModel.objects.for_scope(tenant, mode).filter(resumed_at=None).order_by("pk"),
        prices=PriceEntry.objects.for_scope(tenant, mode).in_force_or_coming(timezone.now()),
        budgets=budgets.order_by("pk"),
    )
    yield publish_call(scope, scope.tenant_policy(), version=settings.version, body=encode_policy(policy))
    ref = projection.default_budget_ref(settings)
    yield set_default_call(
        scope,
        limit_nanousd=settings.default_limit_nanousd if ref else None,
        ref=ref,
        version=settings.version,
        arrivals_per_hour_max=settings.arrivals_per_hour_max,
    )


def imports_for(providers: set[str]) -> list[BasePriceEntry]:
    """Imported base prices of some providers of the book: each model's tier in force now, and those to come."""
    now = timezone.now()
    entries = BasePriceEntry.objects.select_related("price").filter(price__provider__in=providers)
    wanted: list[BasePriceEntry] = []
    passed: set[tuple[str, str, str]] = set()
    for entry in entries.order_by("-from_at", "-pk"):
        name = entry.price.provider, entry.price.model, entry.price.service_tier
        if name in passed:
            continue
        if entry.from_at <= now:
            passed.add(name)
        wanted.append(entry)
    return wanted[::-1]


def calls_of_tenants(tenant_ids: Iterable[str]) -> Iterator[ControlCall]:
    """Publish everything that tenants have, in both modes."""
    theirs = {"tenant_id__in": list(tenant_ids)}
    for settings in TenantSettings.objects.select_related("tenant").filter(**theirs):
        yield from calls_of_tenant(settings)
    for customer in customers_to_publish().filter(**theirs).order_by("pk").iterator(ROWS_PER_QUERY):
        yield from calls_of_customer(customer)
    for key in keys_to_publish().filter(**theirs).order_by("pk").iterator(ROWS_PER_QUERY):
        yield from calls_of_key(key)
