"""Contention passes, limits say when to come again, and what was published a moment ago is in force."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec

from enforcement.policies import BudgetRef, RateLimit
from tests.proxy.conftest import Proxy, Tenant, code_of, wait_for

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


def test_many_calls_at_once_never_overspend(acme: Tenant, chat: Chat) -> None:
    limit_nanousd = 5_000_000
    budget = acme.budget("0.005")
    key = acme.key(acme.customer(budget))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: chat(key, "sim-exact", max_tokens=50), range(40)))
    served = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 402, 429}
    spent, held = acme.spent(budget)
    assert held == 0
    assert spent == sum(cost for _, _, cost, _ in acme.rows()) <= limit_nanousd
    assert len(served) == len(acme.rows()) == limit_nanousd // (spent // len(served))


def test_a_caller_that_leaves_before_its_answer_is_charged_for_it(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    headers = {"authorization": f"Bearer {acme.key(acme.customer(budget))}"}
    body = {"model": "sim-slow-1000", "messages": [{"role": "user", "content": "x"}]}
    with contextlib.suppress(httpx.ReadTimeout):
        httpx.post(f"{proxy.url}/v1/chat/completions", json=body, headers=headers, timeout=0.3)
    [(kind, basis, cost, _)] = wait_for(acme.rows)
    assert (kind, basis) == ("settled", "reported")
    assert acme.spent(budget) == (cost, 0)
