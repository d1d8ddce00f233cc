"""Responses through the proxy, for tests: prices for the simulator's models, requests, and events."""

from __future__ import annotations

import json
from typing import Any

import httpx

from enforcement.policies import PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import Bill, Proxy, Tenant

INPUT, CACHE_READ, OUTPUT, SEARCH = (nanousd * 10**6 for nanousd in (1000, 250, 2000, 10))
RATES = {"input": INPUT, "cache_read": CACHE_READ, "output": OUTPUT}
TOOLS = [
    {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}
]


def price(tenant: Tenant, *models: str, base_url: str = "", **extras: int) -> Tenant:
    """Give a tenant one account, its default, and prices for these models."""
    prices = tuple(
        PublishedPrice(make_id("pri", place + 2000), "simulator", model, 0, RATES, extras_nanousd=extras)
        for place, model in enumerate(models or ("sim-mini",))
    )
    tenant.publish(accounts=(tenant.account("main", default=True, base_url=base_url),), prices=prices)
    return tenant


def post(
    proxy: Proxy,
    key: str,
    model: str = "sim-mini",
    *,
    path: str = "/v1/responses",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """Send one request and read the whole answer."""
    sent = {"authorization": f"Bearer {key}", **(headers or {})}
    body = {"model": model, "input": "Say hello", **fields}
    return httpx.post(f"{proxy.url}{path}", json=body, headers=sent, timeout=20)


def events(raw: bytes) -> list[dict[str, Any]]:
    """The documents of a stream's events."""
    lines = [line[5:].strip() for line in raw.decode().splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def event(kind: str, **fields: Any) -> bytes:
    """One event as OpenAI writes it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def response(status: str = "completed", **fields: Any) -> dict[str, Any]:
    """A response in some state."""
    return {
        "id": "resp_1",
        "object": "response",
        "model": "sim-mini",
        "status": status,
        "output": [],
        **fields,
    }


def usage(given: int = 8, made: int = 3, *, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """A usage object."""
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": given + made,
    }


def cost_of(told: dict[str, Any]) -> int:
    """What a reported usage costs at these rates, in nano-dollars."""
    cached = told["input_tokens_details"]["cached_tokens"]
    return (told["input_tokens"] - cached) * 1000 + cached * 250 + told["output_tokens"] * 2000


def billed(bill: Bill, hold_id: str) -> int:
    """What the provider's own bill says of a hold."""
    [record] = [record for record in bill.records() if record["hold_id"] == hold_id]
    return int(record["billed_nanousd"])
