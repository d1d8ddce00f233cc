"""Gemini for tests: a tenant whose provider speaks it, one call, what its stream said, and its errors."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec

from enforcement.policies import ProviderAccount, PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import Proxy, Tenant

INPUT, CACHE_READ, OUTPUT = (nanousd * 10**6 for nanousd in (1000, 250, 2000))
RATES = {"input": INPUT, "cache_read": CACHE_READ, "output": OUTPUT}
SEARCH_NANOUSD = 14_000_000
CONTENTS = [{"role": "user", "parts": [{"text": "Say hello"}]}]
TOOLS = [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {}}}]}]
INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def account(tenant: Tenant, base_url: str = "", *, name: str = "gem", **changes: Any) -> ProviderAccount:
    """An account whose base URL is what Google's client would take: without a version."""
    made = tenant.account(name, default=True, base_url=base_url or tenant.base_url.removesuffix("/v1"))
    return msgspec.structs.replace(made, dialect="gemini", **changes)


def speak_gemini(tenant: Tenant, *models: str, base_url: str = "", **changes: Any) -> Tenant:
    """Give a tenant an account of this dialect, its default, and prices for these models."""
    prices = tuple(
        PublishedPrice(
            make_id("pri", place + 1000),
            "simulator",
            model,
            0,
            RATES,
            extras_nanousd={"web_search": SEARCH_NANOUSD},
        )
        for place, model in enumerate(models or ("sim-mini",))
    )
    tenant.publish(accounts=(account(tenant, base_url),), prices=prices, **changes)
    return tenant


def post(
    proxy: Proxy,
    key: str,
    model: str = "sim-mini",
    /,
    *,
    method: str = "generateContent",
    version: str = "v1beta",
    query: str = "",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """Send one request as Google's client does, and read the whole answer."""
    sent = {"x-goog-api-key": key, **(headers or {})} if key else dict(headers or {})
    url = f"{proxy.url}/gemini/{version}/models/{model}:{method}{query}"
    return httpx.post(url, json={"contents": CONTENTS, **fields}, headers=sent, timeout=20)


def stream(
    proxy: Proxy, key: str, model: str = "sim-mini", *, sse: bool = True, **fields: Any
) -> httpx.Response:
    """Ask for a stream, of events or as one array, and read the whole of it."""
    query = "?alt=sse" if sse else ""
    return post(proxy, key, model, method="streamGenerateContent", query=query, **fields)


def chunks(answer: httpx.Response) -> list[dict[str, Any]]:
    """The documents of a stream, whichever its form."""
    if answer.content.startswith(b"["):
        return list(answer.json())
    return [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]


def code_of(answer: httpx.Response) -> tuple[int, str, str]:
    """An error's status, Google's word for it and our code; its form is checked on the way."""
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    assert error["message"]
    info = error["details"][0]
    assert (info["@type"], info["domain"]) == (INFO, "farebox")
    assert info["metadata"]["request_id"] == answer.headers["farebox-request-id"]
    assert error["details"][-1]["links"][0]["url"].endswith(f"/docs/errors#{info['reason']}")
    return answer.status_code, error["status"], info["reason"]
