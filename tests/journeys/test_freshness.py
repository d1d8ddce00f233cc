"""What is changed is in force for the next request, on every proxy, and nothing else is read again."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import psycopg
import pytest

from tests.journeys.desk import MESSAGES, Desk, Made, code_of
from tests.stack import Stack, wait_for

CUSTOMERS, KNOWN = 2_000, 50
PROXIES = ("proxy1", "proxy2")


def policy_reads(stack: Stack, proxy: str) -> int:
    """How many policies a proxy has read since it started."""
    lines = httpx.get(f"{stack.address(proxy)}/metrics").text.splitlines()
    [line] = [line for line in lines if line.startswith("farebox_policy_reads_total ")]
    return int(line.split()[1])


def is_published(stack: Stack) -> bool:
    """Whether every change has been told to Redis."""
    with psycopg.connect(stack.postgres.url("farebox_owner")) as connection:
        return connection.execute("SELECT count(*) FROM tenants_outbox").fetchone() == (0,)


@pytest.fixture(scope="module")
def crowd(acme: Desk) -> list[str]:
    """Two thousand customers from a file, those that will call with a budget; their external ids."""
    names = [f"crowd-{number}" for number in range(CUSTOMERS)]
    limits = ["5.00"] * KNOWN + [""] * (CUSTOMERS - KNOWN)
    lines = (f"{name},Number {name},{limit}\n" for name, limit in zip(names, limits, strict=True))
    text = "external_id,name,limit_usd\n" + "".join(lines)
    answer = acme.ask("POST", "/customers/import", {"csv": text})
    assert (answer.status_code, answer.json()["created"]) == (202, CUSTOMERS)
    wait_for(lambda: is_published(acme.stack), "the file is in force", 40)
    return names


def test_an_edit_reloads_one_policy_and_no_other(stack: Stack, acme: Desk, crowd: list[str]) -> None:
    secret = acme.do("POST", "/keys", {"kind": "server"})["key"]
    known = crowd[:KNOWN]

    def call_all() -> None:
        def call(place: tuple[str, str]) -> int:
            return acme.chat(secret, proxy=place[0], headers={"Farebox-Customer": place[1]}).status_code

        with ThreadPoolExecutor(8) as threads:
            places = [(proxy, name) for proxy in PROXIES for name in known]
            assert set(threads.map(call, places)) == {200}

    before = {proxy: policy_reads(stack, proxy) for proxy in PROXIES}
    call_all()
    first = {proxy: policy_reads(stack, proxy) for proxy in PROXIES}
    call_all()
    second = {proxy: policy_reads(stack, proxy) for proxy in PROXIES}
    edited = acme.do("GET", f"/customers/by-external-id/{known[7]}")
    acme.do("PATCH", f"/customers/{edited['id']}", {"models_allowed": ["sim-*"]})
    call_all()
    third = {proxy: policy_reads(stack, proxy) for proxy in PROXIES}

    assert all(first[proxy] - before[proxy] >= KNOWN for proxy in PROXIES)
    assert second == first
    assert {proxy: third[proxy] - second[proxy] for proxy in PROXIES} == dict.fromkeys(PROXIES, 1)


@dataclass(frozen=True)
class Attempt:
    """One call of the load: when it was sent, and what came of it."""

    sent: float
    proxy: str
    status: int
    code: str


async def test_a_revoked_key_is_refused_by_the_next_request_under_load(stack: Stack, acme: Desk) -> None:
    made = acme.customer("50.00")
    attempts: list[Attempt] = []
    stopping = asyncio.Event()
    async with httpx.AsyncClient(timeout=20.0) as client:
        load = [
            asyncio.create_task(_call_on(client, stack, made.key, proxy, attempts, stopping))
            for proxy in PROXIES * 6
        ]
        await _until(lambda: all(_served(attempts, proxy) > 30 for proxy in PROXIES))
        url = f"{stack.address('web')}/api/v1/keys/{made.key_id}/revoke"
        answer = await client.post(url, headers={"authorization": f"Bearer {acme.api_key}"})
        revoked = time.perf_counter()
        assert answer.status_code == 200
        await _until(lambda: all(_sent_after(attempts, proxy, revoked) > 20 for proxy in PROXIES))
        stopping.set()
        await asyncio.gather(*load)
    late = {(each.status, each.code) for each in attempts if each.sent > revoked}
    assert late == {(401, "key_revoked")}
    assert {each.status for each in attempts} == {200, 401}


async def _call_on(
    client: httpx.AsyncClient,
    stack: Stack,
    key: str,
    proxy: str,
    attempts: list[Attempt],
    stopping: asyncio.Event,
) -> None:
    url = f"{stack.address(proxy)}/v1/chat/completions"
    while not stopping.is_set():
        sent = time.perf_counter()
        answer = await client.post(
            url, json={"model": "sim-mini", "messages": MESSAGES}, headers={"authorization": f"Bearer {key}"}
        )
        code = "" if answer.status_code == 200 else json.loads(answer.content)["error"]["code"]
        attempts.append(Attempt(sent, proxy, answer.status_code, code))


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def _served(attempts: list[Attempt], proxy: str) -> int:
    return sum(each.proxy == proxy and each.status == 200 for each in attempts)


def _sent_after(attempts: list[Attempt], proxy: str, instant: float) -> int:
    return sum(each.proxy == proxy and each.sent > instant for each in attempts)


def test_a_revoked_key_lists_no_models_either(stack: Stack, acme: Desk) -> None:
    made = acme.customer()
    urls = [f"{stack.address(proxy)}/v1/models" for proxy in PROXIES]
    assert [httpx.get(url, headers={"x-api-key": made.key}).status_code for url in urls] == [200, 200]
    acme.do("POST", f"/keys/{made.key_id}/revoke")
    assert [httpx.get(url, headers={"x-api-key": made.key}).status_code for url in urls] == [401, 401]


@pytest.fixture
def known(acme: Desk) -> Made:
    """A customer whose policies both proxies hold in memory."""
    made = acme.customer("5.00")
    assert [acme.chat(made.key, proxy=proxy).status_code for proxy in PROXIES] == [200, 200]
    return made


def codes(desk: Desk, key: str) -> list[str]:
    """What each proxy makes of one more call."""
    answers = [desk.chat(key, proxy=proxy) for proxy in PROXIES]
    return ["ok" if answer.status_code == 200 else code_of(answer)[1] for answer in answers]


def test_a_limit_is_lowered_and_raised_for_the_next_request(acme: Desk, known: Made) -> None:
    for limit_usd, expected in (("0.000001", "budget_exceeded"), ("5.00", "ok"), ("0", "budget_exceeded")):
        acme.do("PATCH", f"/budgets/{known.budget_id}", {"limit_usd": limit_usd})
        assert codes(acme, known.key) == [expected] * 2


def test_a_suspended_customer_is_refused_until_it_is_active_again(acme: Desk, known: Made) -> None:
    for state, expected in (("suspended", "customer_suspended"), ("active", "ok")):
        acme.do("PATCH", f"/customers/{known.id}", {"state": state})
        assert codes(acme, known.key) == [expected] * 2


def test_models_and_rates_are_in_force_for_the_next_request(acme: Desk, known: Made) -> None:
    for models, expected in ((["gpt-*"], "model_not_allowed"), (["sim-*"], "ok")):
        acme.do("PATCH", f"/keys/{known.key_id}", {"models_allowed": models})
        assert codes(acme, known.key) == [expected] * 2
    acme.do("PATCH", f"/keys/{known.key_id}", {"requests_per_minute": 1, "burst": 1})
    assert codes(acme, known.key) == ["ok", "rate_limited"]  # one limit over both proxies
    acme.do("PATCH", f"/keys/{known.key_id}", {"requests_per_minute": 0})
    assert codes(acme, known.key) == ["ok", "ok"]


def test_a_rotated_key_passes_at_once_and_its_old_secret_no_more(acme: Desk, known: Made) -> None:
    rotated = acme.do("POST", f"/keys/{known.key_id}/rotate", {})["key"]
    assert codes(acme, known.key) == ["key_expired"] * 2
    assert codes(acme, rotated) == ["ok", "ok"]


def test_a_limit_below_spent_and_held_refuses_until_it_fits(stack: Stack, acme: Desk, known: Made) -> None:
    model = slow_model(acme)
    with ThreadPoolExecutor() as threads:
        # Its quote is above a dollar, its cost some thousandths of a cent.
        long = threads.submit(acme.chat, known.key, model, stream=True, max_completion_tokens=500_000)
        wait_for(
            lambda: Stack.nanousd(stack.budget(known.budget_id)["held_usd"]) > 10**9, "it holds a dollar"
        )
        acme.do("PATCH", f"/budgets/{known.budget_id}", {"limit_usd": "0.50"})
        assert codes(acme, known.key) == ["budget_in_flight"] * 2
        assert long.result().status_code == 200  # what was granted is served to its end
    wait_for(lambda: stack.budget(known.budget_id)["held_usd"] == "0.00", "nothing is held")
    assert codes(acme, known.key) == ["ok", "ok"]
    spent = Stack.nanousd(stack.budget(known.budget_id)["spent_usd"])
    acme.do("PATCH", f"/budgets/{known.budget_id}", {"limit_usd": "0.00001"})
    assert spent > 10_000
    assert codes(acme, known.key) == ["budget_exceeded"] * 2


def slow_model(desk: Desk) -> str:
    """A model that takes a while, with a price."""
    name = "sim-words-40-drip-25"
    desk.price(name)
    return name
