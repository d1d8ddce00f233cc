"""Azure's dated interface, through a running proxy: the deployment in the path, the key in a header of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from enforcement.policies import ProviderAccount, PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import SIM_KEY, Tenant, wait_for
from tests.proxy.echo import Echo

DEPLOYMENT = "my-gpt"


def deployed(acme: Tenant, echo: Echo) -> str:
    """Make the tenant's default account one of Azure's, with a price for its deployment; return a customer's key."""
    account: ProviderAccount = acme.account("az", default=True, base_url=echo.base_url)
    prices = (
        PublishedPrice(
            make_id("pri", 1), "azure-deployments", DEPLOYMENT, 0, {"input": 10**9, "output": 2 * 10**9}
        ),
    )
    acme.publish(accounts=(msgspec.structs.replace(account, provider="azure-deployments"),), prices=prices)
    return acme.key(acme.customer(acme.budget()))


def event(**document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def test_a_deployment_stands_in_the_path_and_its_name_is_the_model(
    chat: Callable[..., httpx.Response], acme: Tenant, echo: Echo
) -> None:
    echo.extra_headers = b"apim-request-id: a1\r\nx-ms-region: West Europe\r\nx-ms-rai-invoked: true\r\n"
    answer = chat(deployed(acme, echo), DEPLOYMENT, headers={"x-ms-client-request-id": "c7", "api-key": "k"})
    assert answer.status_code == 200, answer.text
    head = echo.heads[-1].lower()
    path = f"POST /v1/deployments/{DEPLOYMENT}/chat/completions?api-version=2024-10-21 HTTP/1.1"
    assert head.startswith(path.lower().encode())
    assert f"api-key: {SIM_KEY}".encode() in head
    assert b"authorization" not in head
    assert b"x-ms-client-request-id: c7" in head
    assert (answer.headers["apim-request-id"], answer.headers["x-ms-region"]) == ("a1", "West Europe")
    assert "x-ms-rai-invoked" not in answer.headers
    kind, basis, cost_nanousd, body = wait_for(acme.rows)[0]
    assert (kind, basis, cost_nanousd) == ("settled", "reported", 8 * 1_000 + 2_000)
    assert (body.provider, body.model, body.bound_class) == ("azure-deployments", DEPLOYMENT, "empirical")


def test_a_first_chunk_of_prompt_filter_results_is_no_usage(
    chat: Callable[..., httpx.Response], acme: Tenant, echo: Echo
) -> None:
    echo.kind = b"text/event-stream"
    filtered = event(choices=[], prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}])
    said = event(choices=[{"index": 0, "delta": {"content": "hi"}}])
    usage = event(choices=[], usage={"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9})
    echo.pieces = [filtered, said, usage, b"data: [DONE]\n\n"]
    answer = chat(deployed(acme, echo), DEPLOYMENT, stream=True)
    assert answer.content == filtered + said + b"data: [DONE]\n\n"
    assert json.loads(echo.bodies[-1])["stream_options"] == {"include_usage": True}
    _, basis, cost_nanousd, _ = wait_for(acme.rows)[0]
    assert (basis, cost_nanousd) == ("reported", 10_000)
