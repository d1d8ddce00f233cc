"""Rows for tests: two tenants, Acme and Globex, and whatever they have. Made by the actions, as everything is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.models import CustomerMap, PrepaidEntry, Push, ReconRow, StripeConnection, StripeMeter, TopUp
from billing.prepaid.opening import open_prepaid
from metering.money import parse_usd
from tenants.actions import budgets, customers, keys, prices, provider_accounts, tenants
from tenants.actions.recording import Actor
from tenants.models import Budget, Customer, Key, PriceEntry, ProviderAccount, Tenant

ACTOR = Actor("operator", "tests", "Tests")


def make_tenant(name: str = "Acme", **terms: Any) -> Tenant:
    """A tenant with its settings for test and live."""
    return tenants.create_tenant(name=name, **terms).row


def make_customer(
    tenant: Tenant, external_id: str = "customer-1", *, mode: str = "test", **values: Any
) -> Customer:
    """A customer of a tenant."""
    change = customers.upsert_customer(
        tenant=tenant, mode=mode, actor=ACTOR, external_id=external_id, values=values
    )
    return change.row


def make_budget(
    tenant: Tenant,
    target: Customer | Key | None = None,
    *,
    mode: str = "test",
    limit: str = "50.00",
    **terms: Any,
) -> Budget:
    """A budget, its limit given in dollars: for a customer, a key, or the tenant."""
    full = budgets.BudgetTerms(limit_nanousd=parse_usd(limit), **terms)
    return budgets.create_budget(tenant=tenant, mode=mode, actor=ACTOR, terms=full, target=target).row


def make_key(
    tenant: Tenant, customer: Customer | None = None, *, mode: str = "test", **values: Any
) -> keys.IssuedKey:
    """A customer key, or without a customer a server key; ``kind="api"`` with scopes for an API key."""
    kind = values.pop("kind", "customer" if customer else "server")
    return keys.create_key(tenant=tenant, mode=mode, kind=kind, actor=ACTOR, customer=customer, values=values)


def make_api_key(tenant: Tenant, *, mode: str = "test", scopes: tuple[str, ...] = ("*",)) -> str:
    """The secret of an API key."""
    return make_key(tenant, kind="api", mode=mode, scopes=list(scopes), name="tests").secret


def make_account(tenant: Tenant, *, mode: str = "test", **terms: Any) -> ProviderAccount:
    """A provider account; openai's unless said otherwise."""
    full = {"provider": "openai", "name": "main", "api_key": "sk-0123456789abcdefghijklmnop", **terms}
    change = provider_accounts.create_provider_account(
        tenant=tenant, mode=mode, actor=ACTOR, terms=provider_accounts.AccountTerms(**full)
    )
    return change.row


def make_price(
    tenant: Tenant, model: str = "sim-mini", *, mode: str = "test", **rates_nanousd: int
) -> PriceEntry:
    """A price of the provider ``sim``, in nano-dollars per million tokens."""
    rates = rates_nanousd or {"input": 1_000_000_000, "output": 2_000_000_000}
    terms = prices.PriceTerms(rates=rates)
    return prices.put_price(tenant=tenant, mode=mode, actor=ACTOR, name=("sim", model), terms=terms).row


@dataclass(frozen=True)
class Holding:
    """A tenant with one of each, in one mode."""

    tenant: Tenant
    customer: Customer
    budget: Budget
    key: keys.IssuedKey
    account: ProviderAccount
    price: PriceEntry
    api_key: str


def make_holding(name: str, *, mode: str = "test", tenant: Tenant | None = None) -> Holding:
    """A tenant with a customer, its budget and key, a provider account, a price and an API key."""
    owner = tenant or make_tenant(name)
    customer = make_customer(owner, f"{name.lower()}-1", mode=mode, name=f"{name}'s first")
    return Holding(
        tenant=owner,
        customer=customer,
        budget=make_budget(owner, customer, mode=mode),
        key=make_key(owner, customer, mode=mode),
        account=make_account(owner, mode=mode),
        price=make_price(owner, mode=mode),
        api_key=make_api_key(owner, mode=mode),
    )


def make_billing(holding: Holding) -> tuple[StripeMeter, CustomerMap]:
    """A connection to Stripe without a key, with a meter and the holding's customer mapped."""
    scope = {"tenant": holding.tenant, "mode": holding.customer.mode}
    mark = holding.customer.pk.removeprefix("cus_")
    connection = StripeConnection.objects.create(**scope, api_version="2026-05-27.dahlia", status="ok")
    meter = StripeMeter.objects.create(
        **scope, connection=connection, currency="usd", stripe_meter_id=f"mtr_{mark}", event_name="usage"
    )
    mapping = CustomerMap.objects.create(
        **scope,
        connection=connection,
        customer=holding.customer,
        stripe_customer_id=f"cus_at{mark}",
        state="no_subscription",
    )
    return meter, mapping


def make_top_up(mapping: CustomerMap) -> TopUp:
    """A payment of a customer who pays first, arrived: its credit is $50."""
    scope = {"tenant": mapping.tenant, "mode": mapping.mode}
    prepaid = open_prepaid(customer=mapping.customer, actor=ACTOR).row
    mark = mapping.customer.pk.removeprefix("cus_")
    top_up = TopUp.objects.create(
        **scope, prepaid=prepaid, connection=mapping.connection, amount_minor=5000, session_id=f"cs_{mark}",
        payment_intent_id=f"pi_{mark}", status="paid",
    )  # fmt: skip
    PrepaidEntry.objects.create(
        **scope, prepaid=prepaid, top_up=top_up, kind="payment", source_id=f"pi_{mark}", number=0,
        amount_nanousd=50_000_000_000,
    )  # fmt: skip
    budgets.change_limit(budget=prepaid.budget, actor=ACTOR, limit_nanousd=50_000_000_000, keeper="prepaid")
    return top_up


def make_push(meter: StripeMeter, mapping: CustomerMap, **values: Any) -> Push:
    """A push of a customer, held because nobody is billed for it yet."""
    stamp = datetime(2026, 11, 18, 11, 59, 59, tzinfo=UTC)
    given = {
        "tenant": meter.tenant, "mode": meter.mode, "customer": mapping.customer, "connection": meter.connection,
        "meter": meter, "target_id": meter.pk, "currency": meter.currency, "unit_minor": meter.unit_minor,
        "bucket_start": stamp.replace(minute=0, second=0), "bucket_end": stamp + timedelta(seconds=1), "seq": 0,
        "identifier": f"um1-{mapping.customer.pk}", "value_units": 7, "stamp_at": stamp,
        "minute_no": int(stamp.timestamp()) // 60, "charge_nanousd": 70_000_000, "row_count": 3,
        "cumulative_atto": 7 * 10**16, "state": "held", "why": "no_subscription", **values,
    }  # fmt: skip
    return Push.objects.create(**given)


def make_recon_row(push: Push, **values: Any) -> ReconRow:
    """The compared hour of a push, with more at Stripe than was pushed."""
    hour = push.stamp_at.replace(minute=0, second=0)
    given = {
        "tenant": push.tenant, "mode": push.mode, "customer": push.customer, "meter": push.meter, "hour": hour,
        "ledger_nanousd": push.charge_nanousd, "pushed_units": 7, "stripe_units": 12, "state": "foreign",
        "why": "not_ours", "since": hour, "checked_at": hour, **values,
    }  # fmt: skip
    return ReconRow.objects.create(**given)
