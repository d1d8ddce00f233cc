"""Embeddings, completions and moderations for tests: a tenant with their models, one call, and the bill of it."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from enforcement.policies import ProviderAccount, PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import SIM_INPUT, SIM_OUTPUT, Bill, Proxy, Tenant


def price(*models: str, provider: str = "simulator") -> tuple[PublishedPrice, ...]:
    """The simulator's plain price for these models."""
    rates = {"input": SIM_INPUT, "cache_read": 250_000_000, "output": SIM_OUTPUT}
    return tuple(
        PublishedPrice(make_id("pri", place + 2000), provider, model, 0, rates)
        for place, model in enumerate(models)
    )


def account(tenant: Tenant, provider: str, *, name: str = "main", base_url: str = "") -> ProviderAccount:
    """An account of a named provider, the tenant's default, that leads to the simulator."""
    made = tenant.account(name, default=True, base_url=base_url)
    return msgspec.structs.replace(made, provider=provider)


def post(proxy: Proxy, key: str, path: str, model: str | None, **fields: Any) -> httpx.Response:
    """Send one request as OpenAI's client does, and read the whole answer."""
    body = {**({"model": model} if model else {}), **fields}
    return httpx.post(
        f"{proxy.url}/v1/{path}", json=body, headers={"authorization": f"Bearer {key}"}, timeout=20
    )


def record_of(bill: Bill, hold_id: str) -> dict[str, Any]:
    """What the provider's own bill says of a hold."""
    [record] = [record for record in bill.records() if record["hold_id"] == hold_id]
    return record


def hold_ids(tenant: Tenant) -> list[str]:
    """The holds of a tenant's rows, in order."""
    entries = tenant.client.xrange(f"{{s{tenant.scope.shard}}}:usage")
    return [f[b"hold_id"].decode() for _, f in entries if f[b"tenant_id"].decode() == tenant.tenant_id]
