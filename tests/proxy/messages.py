"""Messages for tests: a tenant whose provider speaks Anthropic, one call, and what its stream said."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec

from enforcement.policies import ProviderAccount, PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import SIM_KEY, Bill, Proxy, Tenant

INPUT, CACHE_READ, WRITE_5M, WRITE_1H, OUTPUT = (nanousd * 10**6 for nanousd in (1000, 250, 1250, 2000, 2000))
RATES = {
    "input": INPUT,
    "cache_read": CACHE_READ,
    "cache_write_5m": WRITE_5M,
    "cache_write_1h": WRITE_1H,
    "output": OUTPUT,
}
HELLO = [{"role": "user", "content": "Say hello"}]
TOOLS = [{"name": "f", "description": "A tool", "input_schema": {"type": "object", "properties": {}}}]


def account(tenant: Tenant, base_url: str = "", **changes: Any) -> ProviderAccount:
    """An account whose base URL is what Anthropic's client would take: without a version."""
    made = tenant.account("claude", default=True, base_url=base_url or tenant.base_url.removesuffix("/v1"))
    return msgspec.structs.replace(made, dialect="anthropic", **changes)


def speak_anthropic(tenant: Tenant, *models: str, base_url: str = "") -> Tenant:
    """Give a tenant an account of this dialect, its default, and prices for these models."""
    prices = tuple(
        PublishedPrice(make_id("pri", place + 1000), "simulator", model, 0, RATES)
        for place, model in enumerate(models or ("sim-mini",))
    )
    tenant.publish(accounts=(account(tenant, base_url),), prices=prices)
    return tenant


def post(
    proxy: Proxy,
    key: str,
    model: str = "sim-mini",
    *,
    path: str = "/v1/messages",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """Send one request as Anthropic's client does, and read the whole answer."""
    body = {"model": model, "max_tokens": 100, "messages": HELLO, **fields}
    sent = {"x-api-key": key, "anthropic-version": "2023-06-01", **(headers or {})}
    return httpx.post(f"{proxy.url}{path}", json=body, headers=sent, timeout=20)


def events(raw: bytes) -> list[dict[str, Any]]:
    """The documents of a stream's events."""
    return [json.loads(line[5:]) for line in raw.decode().splitlines() if line.startswith("data:")]


def code_of(answer: httpx.Response) -> tuple[int, str, str]:
    """An error's status, Anthropic's type and our code; its form is checked on the way."""
    document = answer.json()
    error = document["error"]
    assert document["type"] == "error"
    assert document["request_id"] == answer.headers["request-id"] == answer.headers["farebox-request-id"]
    assert error["message"]
    assert error["details"]["error_code"] == error["code"]
    assert error["docs"].endswith(f"/docs/errors#{error['code']}")
    return answer.status_code, error["type"], error["code"]


def billed(bill: Bill, hold_id: str) -> int:
    """What the provider's own bill says of a hold."""
    [record] = [record for record in bill.records() if record["hold_id"] == hold_id]
    return int(record["billed_nanousd"])


__all__ = ["SIM_KEY", "account", "billed", "code_of", "events", "post", "speak_anthropic"]
