"""Anthropic's Messages through the proxy: whole answers, streams, tools, thinking, the cache, and counting."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.proxy.conftest import SIM_KEY, Bill, Proxy, Tenant, wait_for
from tests.proxy.echo import Echo
from tests.proxy.messages import HELLO, TOOLS, billed, events, post, speak_anthropic

PATHS = ["/v1/messages", "/anthropic/v1/messages"]
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "sim-mini",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 8, "output_tokens": 3, "service_tier": "priority"},
}


def start(**usage: Any) -> bytes:
    message = {**MESSAGE, "content": [], "usage": {"input_tokens": 8, "output_tokens": 1, **usage}}
    return event("message_start", message=message)


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def text(piece: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})


def end(**usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage) + event("message_stop")


@pytest.mark.parametrize("path", PATHS)
def test_a_whole_answer_is_settled_to_the_providers_own_bill(
    acme: Tenant, proxy: Proxy, bill: Bill, path: str
) -> None:
    budget = speak_anthropic(acme).budget()
    answer = post(proxy, acme.key(acme.customer(budget)), path=path)
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    cost = usage["input_tokens"] * 1000 + usage["output_tokens"] * 2000
    assert answer.headers["farebox-cost-usd"] == f"{cost / 1e9:.9f}".rstrip("0")
    [(kind, basis, booked, body)] = acme.rows()
    assert (kind, basis, booked, body.end, body.dialect) == (
        "settled",
        "reported",
        cost,
        "complete",
        "anthropic",
    )
    assert acme.spent(budget) == (cost, 0)
    assert body.upstream_request_id == answer.headers["request-id"] != ""
    record = bill.records()[-1]
    assert (record["billed_nanousd"], record["path"]) == (cost, "/v1/messages")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", ["sim-mini", "sim-crlf", "sim-comments", "sim-gzip", "sim-tools"])
def test_a_streams_usage_is_its_last_report(acme: Tenant, proxy: Proxy, model: str, path: str) -> None:
    budget = speak_anthropic(acme, model).budget()
    answer = post(proxy, acme.key(acme.customer(budget)), model, path=path, stream=True, tools=TOOLS)
    usage = next(one["usage"] for one in events(answer.content) if one["type"] == "message_delta")
    assert acme.spent(budget) == (usage["input_tokens"] * 1000 + usage["output_tokens"] * 2000, 0)
    [(kind, basis, _, body)] = acme.rows()
    assert (kind, basis, body.end, body.stream) == ("settled", "reported", "complete", True)
    assert events(answer.content)[-1]["type"] == "message_stop"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "buckets"),
    [
        ("sim-cached-3", {"cache_read": 3}),
        ("sim-cachewrite-4", {"cache_write_5m": 4}),
        ("sim-cachewrite1h-4", {"cache_write_1h": 4}),
        ("sim-cached-2-cachewrite-3", {"cache_read": 2, "cache_write_5m": 3}),
        ("sim-reasoning-20", {"reasoning": 20}),
    ],
)
def test_cache_and_thinking_have_buckets_of_their_own(
    acme: Tenant, proxy: Proxy, bill: Bill, model: str, buckets: dict[str, int], stream: bool
) -> None:
    budget = speak_anthropic(acme, model).budget()
    assert post(proxy, acme.key(acme.customer(budget)), model, stream=stream).status_code == 200
    [(_, basis, cost, body)] = acme.rows()
    assert basis == "reported"
    assert {name: body.usage[name] for name in buckets} == buckets
    assert cost == bill.records()[-1]["billed_nanousd"]
    assert sum(body.usage[name] for name in body.usage if name not in ("output", "reasoning")) == 8


@pytest.mark.parametrize("cut_bytes", [1, 7, 10_000])
def test_a_stream_passes_byte_for_byte(acme: Tenant, proxy: Proxy, echo: Echo, cut_bytes: int) -> None:
    speak_anthropic(acme, base_url=echo.base_url.removesuffix("/v1"))
    budget = acme.budget()
    whole = start() + event("ping") + text("h\u00e9l") + text("lo  ") + end(output_tokens=3)
    echo.kind = b"text/event-stream; charset=utf-8"
    echo.pieces = [whole[place : place + cut_bytes] for place in range(0, len(whole), cut_bytes)]
    answer = post(proxy, acme.key(acme.customer(budget)), stream=True)
    assert answer.content == whole
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert acme.spent(budget) == (8 * 1000 + 3 * 2000, 0)


def test_the_provider_gets_the_callers_bytes_and_its_own_credential(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    speak_anthropic(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [json.dumps(MESSAGE).encode()]
    key = acme.key(acme.customer(acme.budget()))
    body = b'{ "model":"sim-mini",  "max_tokens": 7, "messages":[{"role":"user","content":"h\\u00e9"}], "x": 1.0 }'
    headers = {"x-api-key": key, "anthropic-beta": "one,two", "x-secret": "mine"}
    assert httpx.post(f"{proxy.url}/v1/messages", content=body, headers=headers).json() == MESSAGE
    assert echo.bodies == [body]
    head = echo.heads[-1].lower()
    assert head.startswith(b"post /v1/messages ")
    assert b"anthropic-version: 2023-06-01\r\n" in head
    assert b"anthropic-beta: one,two\r\n" in head
    assert b"x-api-key: " + SIM_KEY.encode() + b"\r\n" in head
    assert key.encode() not in head
    assert b"authorization" not in head
    assert b"x-secret" not in head
    post(proxy, key, headers={"anthropic-version": "2099-01-01"})
    assert b"anthropic-version: 2099-01-01\r\n" in echo.heads[-1].lower()
    [_, (_, basis, cost, _)] = acme.rows()
    assert (basis, cost) == ("reported", 8 * 1000 + 3 * 2000)  # bought in advance is billed alike


def test_a_cap_above_the_models_ceiling_or_none_at_all_is_ours_to_set(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    speak_anthropic(acme, "sim-mini", base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [json.dumps(MESSAGE).encode()]
    key = acme.key(acme.customer(acme.budget()))
    answer = post(proxy, key, max_tokens=None)
    assert answer.headers["farebox-output-cap"] == "4096"
    assert json.loads(echo.bodies[-1])["max_tokens"] == 4096
    thinking = {"type": "enabled", "budget_tokens": 2000}
    post(proxy, key, max_tokens=3000, thinking=thinking)
    sent = json.loads(echo.bodies[-1])
    assert (sent["max_tokens"], sent["thinking"]) == (3000, thinking)


def test_a_thinking_budget_keeps_its_room_when_the_cap_is_clamped(acme: Tenant, proxy: Proxy) -> None:
    speak_anthropic(acme)
    thinking = {"type": "enabled", "budget_tokens": 1024}
    fits = acme.budget("0.003", on_exhaustion="clamp")
    answer = post(proxy, acme.key(acme.customer(fits)), max_tokens=4000, thinking=thinking)
    assert answer.status_code == 200, answer.text
    assert 1024 + 256 <= int(answer.headers["farebox-output-cap"]) < 4000
    tight = acme.budget("0.0025", on_exhaustion="clamp")
    assert post(proxy, acme.key(acme.customer(tight)), max_tokens=4000, thinking=thinking).status_code == 402


@pytest.mark.parametrize("stream", [False, True])
def test_what_other_models_did_within_a_call_is_priced_apart(
    acme: Tenant, proxy: Proxy, echo: Echo, stream: bool
) -> None:
    speak_anthropic(acme, "sim-mini", "sim-words-9", base_url=echo.base_url.removesuffix("/v1"))
    advised = {"type": "advisor_message", "model": "sim-words-9", "input_tokens": 100, "output_tokens": 10}
    own = {"type": "message", "input_tokens": 8, "output_tokens": 3}
    usage = {"input_tokens": 8, "output_tokens": 3, "iterations": [own, advised]}
    budget = acme.budget()
    if stream:
        echo.kind = b"text/event-stream"
        echo.pieces = [start() + text("hi") + end(**usage)]
    else:
        echo.pieces = [json.dumps({**MESSAGE, "usage": usage}).encode()]
    post(proxy, acme.key(acme.customer(budget)), stream=stream)
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("reported", 8_000 + 6_000 + 100_000 + 20_000)
    assert body.usage == {"input": 8, "output": 3}
    price_id = next(price.price_id for price in acme.policy.prices if price.model == "sim-words-9")
    assert body.extras == {f"sim-words-9|{price_id}:input": 100, f"sim-words-9|{price_id}:output": 10}
    assert acme.spent(budget) == (cost, 0)


def test_the_speed_that_the_provider_reports_sets_the_price(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    speak_anthropic(acme, "sim-mini", "sim-mini@fast", base_url=echo.base_url.removesuffix("/v1"))
    fast = acme.policy.prices[1]
    echo.pieces = [json.dumps({**MESSAGE, "usage": {**MESSAGE["usage"], "speed": "fast"}}).encode()]
    post(proxy, acme.key(acme.customer(acme.budget())))
    [(_, basis, _, body)] = acme.rows()
    assert (basis, body.price_id) == ("reported", fast.price_id)


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens"])
def test_counting_goes_through_the_door_and_costs_nothing(
    acme: Tenant, proxy: Proxy, bill: Bill, path: str
) -> None:
    budget = speak_anthropic(acme, "sim-words-7").budget("0.00")
    key = acme.key(acme.customer(budget))
    answer = post(proxy, key, path=path, max_tokens=None)  # a model without a price can be counted as well
    assert (answer.status_code, answer.json()) == (200, {"input_tokens": 8})
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost, body.end, body.price_id) == ("released", "none", 0, "complete", "free")
    assert acme.spent(budget) == (0, 0)
    assert bill.records()[-1]["path"] == "/v1/messages/count_tokens"
    assert post(proxy, key).status_code in (400, 402)


def test_counting_is_authenticated_limited_and_kept_to_allowed_models(acme: Tenant, proxy: Proxy) -> None:
    from enforcement.policies import RateLimit

    speak_anthropic(acme)
    path = "/v1/messages/count_tokens"
    assert post(proxy, "fbx_ck_test_nonsense", path=path).status_code == 401
    customer = acme.customer(acme.budget())
    assert (
        post(proxy, acme.key(customer, models_allowed=("sim-words-*",)), path=path).json()["error"]["code"]
        == "model_not_allowed"
    )
    key = acme.key(customer, rates=(RateLimit("lim_1", requests_per_minute=1, burst=1),))
    assert post(proxy, key, path=path).status_code == 200
    assert post(proxy, key, path=path).json()["error"]["type"] == "rate_limit_error"
    key = acme.key(customer)
    refused = post(proxy, key, "sim-error-500", path=path)
    assert refused.status_code in (200, 500)
    assert {basis for _, basis, _, _ in acme.rows()} == {"none"}


def test_a_model_goes_to_the_account_it_names_in_this_dialect_alone(acme: Tenant, proxy: Proxy) -> None:
    speak_anthropic(acme)
    other = acme.account("main", default=True)
    acme.publish(accounts=(*acme.policy.accounts, other))
    key = acme.key(acme.customer(acme.budget()))
    assert post(proxy, key, "claude/sim-mini").status_code == 200
    assert "speaks openai" in post(proxy, key, "main/sim-mini").json()["error"]["message"]
    chat = {"model": "claude/sim-mini", "messages": HELLO}
    answer = httpx.post(
        f"{proxy.url}/v1/chat/completions", json=chat, headers={"authorization": f"Bearer {key}"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_provider_account")
    assert "type" not in answer.json()  # in its own shape


def test_a_caller_that_hangs_up_is_charged_for_what_the_provider_reports(
    acme: Tenant, proxy: Proxy, bill: Bill
) -> None:
    budget = speak_anthropic(acme, "sim-drip-20-words-50").budget()
    body = {"model": "sim-drip-20-words-50", "max_tokens": 100, "messages": HELLO, "stream": True}
    headers = {"x-api-key": acme.key(acme.customer(budget))}
    with httpx.stream("POST", f"{proxy.url}/v1/messages", json=body, headers=headers) as answer:
        next(answer.iter_raw())
    [(_, basis, cost, row)] = wait_for(acme.rows)
    assert (basis, row.end, row.usage["output"]) == ("reported", "client_gone", 50)
    assert acme.spent(budget) == (cost, 0)
    assert cost == billed(bill, bill.records()[-1]["hold_id"])
