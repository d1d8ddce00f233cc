"""The demo tenant of ``make run``: made once, found again by what its folder remembers."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from django.db import transaction

from metering.money import parse_usd
from tenants.actions.bootstrapping import OPERATOR, bootstrap_tenant
from tenants.actions.budgets import BudgetTerms, create_budget
from tenants.actions.customers import upsert_customer
from tenants.actions.keys import create_key
from tenants.actions.prices import PriceTerms, put_price
from tenants.actions.provider_accounts import AccountTerms, change_provider_account, create_provider_account
from tenants.actions.tenants import change_settings
from tenants.models import Budget, Customer, Key, ProviderAccount, Tenant

MODE = "test"
NAME = "Acme"
EMAIL = "demo@acme.example"
PROVIDER = "sim"
SIMULATOR_KEY = "sk-sim-demo"
MODELS = (
    "sim-mini", "sim-echo", "sim-words-100", "sim-slow-500", "sim-drip-20", "sim-tools", "sim-json",
    "sim-reasoning-50", "sim-cached-10",
)  # fmt: skip
DEAR_MODELS = ("sim-exact",)
# external id, name, dollars a month, what happens when it does not fit
CUSTOMERS = (
    ("northwind", "Northwind Traders", "25.00", "clamp"),
    ("initech", "Initech", "5.00", "refuse"),
    ("hooli", "Hooli", "0.05", "refuse"),
)


@dataclass(frozen=True, slots=True)
class Demo:
    """What a newcomer needs to look round; kept in a file that only this user may read."""

    tenant: str
    email: str
    password: str
    api_key: str
    customer: str
    limit_usd: str
    customer_key: str

    def __repr__(self) -> str:
        return f"Demo({self.tenant})"


def seed_demo(*, memory: Path, simulator_url: str) -> tuple[Demo, tuple[int, ...]]:
    """Make the demo tenant, or find the one that was made; returns it with the outbox entries of what changed."""
    known = recall_demo(memory)
    if known is not None:
        account = ProviderAccount.objects.get(tenant_id=known.tenant, mode=MODE, name=PROVIDER)
        # The simulator gets another port at each start.
        return known, _point_at(account, simulator_url)
    demo, entries = _make(simulator_url)
    _remember(memory, demo)
    return demo, entries


def recall_demo(memory: Path) -> Demo | None:
    """Find what was made before, if the database still has it."""
    try:
        demo = Demo(**json.loads(memory.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return demo if Tenant.objects.filter(pk=demo.tenant).exists() else None


def _remember(memory: Path, demo: Demo) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(memory, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(demo), file)


def _point_at(account: ProviderAccount, simulator_url: str) -> tuple[int, ...]:
    if account.base_url == simulator_url:
        return ()
    values = {"base_url": simulator_url, "api_key": SIMULATOR_KEY}
    return change_provider_account(account=account, actor=OPERATOR, values=values).entries


@transaction.atomic
def _make(simulator_url: str) -> tuple[Demo, tuple[int, ...]]:
    made = bootstrap_tenant(name=NAME, email=EMAIL, mode=MODE)
    entries = made.entries + _provide(made.tenant, simulator_url)
    first: Customer | None = None
    for external_id, name, limit_usd, on_exhaustion in CUSTOMERS:
        customer, more = _make_customer(made.tenant, (external_id, name), limit_usd, on_exhaustion)
        first = first or customer
        entries += more
    key = create_key(
        tenant=made.tenant,
        mode=MODE,
        kind=Key.Kind.CUSTOMER,
        actor=OPERATOR,
        customer=first,
        values={"name": "demo"},
    )
    defaults = {"default_limit_nanousd": parse_usd("1.00"), "unknown_customer": "default_budget"}
    settings = change_settings(tenant=made.tenant, mode=MODE, actor=OPERATOR, changes=defaults)
    demo = Demo(
        tenant=made.tenant.pk,
        email=EMAIL,
        password=made.password,
        api_key=made.api_key,
        customer=CUSTOMERS[0][0],
        limit_usd=CUSTOMERS[0][2],
        customer_key=key.secret,
    )
    return demo, entries + key.change.entries + settings.entries


def _provide(tenant: Tenant, simulator_url: str) -> tuple[int, ...]:
    """The simulator as a provider account, with a price for each of its models."""
    terms = AccountTerms(provider=PROVIDER, name=PROVIDER, api_key=SIMULATOR_KEY, base_url=simulator_url)
    entries = create_provider_account(tenant=tenant, mode=MODE, actor=OPERATOR, terms=terms).entries
    for model in (*MODELS, *DEAR_MODELS):
        output_nanousd_per_mtok = parse_usd("10.00" if model in DEAR_MODELS else "2.00")
        rates = {
            "input": parse_usd("1.00"),
            "cache_read": parse_usd("0.25"),
            "output": output_nanousd_per_mtok,
        }
        put = put_price(
            tenant=tenant, mode=MODE, actor=OPERATOR, name=(PROVIDER, model), terms=PriceTerms(rates=rates)
        )
        entries += put.entries
    return entries


def _make_customer(
    tenant: Tenant, who: tuple[str, str], limit_usd: str, on_exhaustion: str
) -> tuple[Customer, tuple[int, ...]]:
    external_id, name = who
    customer = upsert_customer(
        tenant=tenant, mode=MODE, actor=OPERATOR, external_id=external_id, values={"name": name}
    )
    terms = BudgetTerms(limit_nanousd=parse_usd(limit_usd), on_exhaustion=on_exhaustion)
    budget = create_budget(
        tenant=tenant,
        mode=MODE,
        actor=OPERATOR,
        terms=terms,
        target=customer.row,
        budget_id=Budget.default_id_for(tenant.pk, MODE, external_id),
    )
    return customer.row, customer.entries + budget.entries
