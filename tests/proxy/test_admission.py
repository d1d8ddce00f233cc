"""Contention passes, limits say when to come again, and what was published a moment ago is in force."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec

from enforcement.policies import BudgetRef, RateLimit
from tests.proxy.conftest import Proxy, Tenant, code_of

Chat = Callable[..., httpx.Response]


def test_a_crowded_budget_asks_to_come_again(acme: Tenant, chat: Chat) -> None:
    key = acme.key(acme.customer(acme.budget("0.003")))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(chat, key, "sim-slow-1000", max_tokens=1000)
        time.sleep(0.3)
        second = chat(key, "sim-slow-1000", max_tokens=1000)
        assert code_of(second) == (429, "budget_in_flight")
        assert int(second.headers["retry-after"]) >= 1
        assert first.result().status_code == 200


def test_a_rate_limit_says_when_to_come_again(acme: Tenant, chat: Chat) -> None:
    limit = RateLimit("lim_1", requests_per_minute=1, burst=1)
    key = acme.key(acme.customer(acme.budget(), rates=(limit,)))
    assert chat(key).status_code == 200
    assert code_of(chat(key)) == (429, "rate_limited")


def test_an_idempotency_key_serves_once(acme: Tenant, chat: Chat) -> None:
    key = acme.key(acme.customer(acme.budget()))
    headers = {"Idempotency-Key": "once"}
    first = chat(key, headers=headers)
    assert first.status_code == 200
    again = chat(key, headers=headers)
    assert code_of(again) == (409, "already_done")
    assert again.json()["error"]["request_id"] == first.headers["farebox-request-id"]
    assert code_of(chat(key, headers=headers, max_tokens=3)) == (422, "idempotency_mismatch")


def test_a_first_seen_customer_gets_the_default_budget(acme: Tenant, chat: Chat, proxy: Proxy) -> None:
    ref = BudgetRef("bud_default", "customer", "month", "UTC", "cost", "refuse")
    acme.publish(unknown_customer="default_budget", default_budget=ref)
    acme.control.publish_default_budget(
        acme.scope, limit_nanousd=20_000_000, ref=ref, version=50, arrivals_per_hour_max=10
    )
    key = acme.key()
    headers = {"Farebox-Customer": "new-one"}
    early = chat(key, headers=headers)
    assert code_of(early) == (503, "enforcement_unavailable")
    complete_customers(acme)
    assert chat(key, headers=headers).status_code == 200
    assert code_of(chat(key, headers=headers, max_tokens=100_000)) == (402, "budget_exceeded")


def complete_customers(acme: Tenant) -> None:
    epoch = acme.client.hget(f"{{s{acme.scope.shard}}}:shard", "epoch")
    acme.client.hset(acme.scope.customers(), mapping={"epoch": epoch, "complete": epoch})


def test_a_price_set_a_moment_ago_is_in_force(acme: Tenant, chat: Chat) -> None:
    key = acme.key(acme.customer(acme.budget()))
    prices = acme.policy.prices
    acme.publish(prices=())
    assert code_of(chat(key)) == (400, "unpriced_model")
    acme.publish(prices=prices)
    assert chat(key).status_code == 200
    dearer = tuple(msgspec.structs.replace(p, rates={"input": 10**12, "output": 10**12}) for p in prices)
    acme.publish(prices=dearer)
    answer = chat(key, max_tokens=50)
    usage = answer.json()["usage"]
    assert acme.rows()[-1][2] == usage["total_tokens"] * 1_000_000
