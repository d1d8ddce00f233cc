"""A tenant of hard bounds alone: what its provider would be bounded by empirically is bounded by its bytes instead."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec

from enforcement.policies import PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import Tenant, code_of, wait_for
from tests.proxy.echo import Echo

MODEL = "llama-3.3-70b-versatile"
RATES = {"input": 10**9, "output": 2 * 10**9}


def served_by_groq(acme: Tenant, echo: Echo, **policy: bool) -> str:
    account = msgspec.structs.replace(
        acme.account("groq", default=True, base_url=echo.base_url), provider="groq"
    )
    acme.publish(
        accounts=(account,), prices=(PublishedPrice(make_id("pri", 1), "groq", MODEL, 0, RATES),), **policy
    )
    return acme.key(acme.customer(acme.budget()))


def quoted(acme: Tenant) -> tuple[str, int]:
    body = wait_for(acme.rows)[-1][3]
    return body.bound_class, body.quoted_input_tokens


def test_bytes_bound_what_would_be_empirical(
    chat: Callable[..., httpx.Response], acme: Tenant, echo: Echo
) -> None:
    assert chat(served_by_groq(acme, echo), MODEL).status_code == 200
    bound_class, usual_tokens = quoted(acme)
    assert bound_class == "empirical"
    assert chat(served_by_groq(acme, echo, require_hard_bound=True), MODEL).status_code == 200
    wait_for(lambda: len(acme.rows()) == 2)
    bound_class, hard_tokens = quoted(acme)
    assert bound_class == "hard"
    assert hard_tokens > 512 > usual_tokens


def test_what_bytes_do_not_bound_is_refused(
    chat: Callable[..., httpx.Response], acme: Tenant, echo: Echo
) -> None:
    key = served_by_groq(acme, echo, require_hard_bound=True)
    llama_4 = "meta-llama/llama-4-scout"
    acme.publish(prices=(PublishedPrice(make_id("pri", 2), "groq", llama_4, 0, RATES),))
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    refused = chat(key, llama_4, messages=[{"role": "user", "content": [picture]}])
    assert code_of(refused) == (400, "uncountable")
    assert "hard bounds only" in refused.json()["error"]["message"]
    assert not echo.bodies
