"""Every kind of key on every route: a call reaches its own tenant's account of its own mode, or nothing at all.

The evidence is the four providers' own logs: each knows one credential, of one tenant in one mode.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
import pytest

from enforcement.keyring import _check_of
from metering.ids import shard_of
from tests.journeys.desk import MESSAGES, Desk, Made, code_of, fresh
from tests.stack import Stack, wait_for

NAMES = ("acme-test", "acme-live", "globex-test", "globex-live")
SIMULATOR_OF = {"acme-test": "simulator", **{name: name for name in NAMES[1:]}}
LISTS = ("/v1/models", "/anthropic/v1/models", "/gemini/v1beta/models")
ROUTES = (
    *("/v1/chat/completions", "/v1/messages", "/anthropic/v1/messages"),
    *("/v1/embeddings", "/v1/completions", "/v1/moderations", *LISTS),
)
SPOKEN = {
    "/v1/embeddings": {"input": "hello"},
    "/v1/completions": {"prompt": "hello", "max_tokens": 20},
    "/v1/moderations": {"input": "hello"},
}

Desks = dict[str, Desk]


@pytest.fixture(scope="module")
def customers(desks: Desks) -> dict[str, Made]:
    """One customer at each desk, under one external id that all four share."""
    shared = fresh("shared")
    return {name: desk.customer("5.00", external_id=shared) for name, desk in desks.items()}


@dataclass
class Reached:
    """Which providers a block of calls reached, and how often; filled in at its end."""

    calls: dict[str, int] = field(default_factory=dict)


@contextmanager
def reaching(stack: Stack) -> Iterator[Reached]:
    """Count what arrives at each provider during a block."""
    before = {name: len(stack.bill_records(SIMULATOR_OF[name])) for name in NAMES}
    reached = Reached()
    yield reached
    after = {name: len(stack.bill_records(SIMULATOR_OF[name])) for name in NAMES}
    reached.calls = {name: after[name] - before[name] for name in NAMES if after[name] != before[name]}


def call_route(desk: Desk, key: str, route: str, **headers: str) -> httpx.Response:
    """Make one call on a route, in a form that would be served with the right key."""
    url = desk.stack.address("proxy1") + route
    sent = {"authorization": f"Bearer {key}", **headers}
    if route in LISTS:
        return desk.client.get(url, headers=sent)
    said = SPOKEN.get(route, {"messages": MESSAGES, "max_tokens": 20})
    return desk.client.post(url, json={"model": "sim-mini", **said}, headers=sent)


@pytest.mark.parametrize("name", NAMES)
def test_a_good_key_reaches_its_own_account_and_its_own_price(
    stack: Stack, desks: Desks, customers: dict[str, Made], name: str
) -> None:
    desk, made = desks[name], customers[name]
    server = desk.do("POST", "/keys", {"kind": "server"})["key"]
    with reaching(stack) as reached:
        plain = desk.chat(made.key)
        named = desk.chat(server, headers={"Farebox-Customer": made.external_id}, proxy="proxy2")
    assert (plain.status_code, named.status_code) == (200, 200)
    assert reached.calls == {name: 2}
    stack.wait_until_quiet()
    for answer in (plain, named):
        [row] = stack.rows("request_id = %s", answer.headers["farebox-request-id"])
        assert (row["mode"], row["customer_id"]) == (name.partition("-")[2], made.id)
        assert desk.ask("GET", f"/requests/{row['request_id']}").status_code == 200
        [price] = desk.do("GET", "/prices?model=sim-mini&provider=openai")["data"][:1]
        assert row["price_id"] == price["id"]
        accounts = {each["id"] for each in desk.do("GET", "/provider-accounts")["data"]}
        assert row["account_id"] in accounts
        others = [desks[other] for other in NAMES if other != name]
        assert {other.ask("GET", f"/requests/{row['request_id']}").status_code for other in others} == {404}


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_model_leads_to_another_desks_account(
    stack: Stack, desks: Desks, customers: dict[str, Made], name: str
) -> None:
    with reaching(stack) as reached:
        for other in {"sim", *NAMES} - {name} - ({"sim"} if name == "acme-test" else set()):
            answer = desks[name].chat(customers[name].key, f"{other}/sim-mini")
            assert code_of(answer) == (400, "unpriced_model")
    assert reached.calls == {}


def bad_keys(desk: Desk, made: Made, stranger: Made) -> dict[str, str]:
    """Keys that must not be served: by what is wrong with each."""
    found: dict[str, str] = {"an API key": desk.api_key}
    for kind, of in (("customer", {"customer": made.id}), ("server", {"kind": "server"})):
        revoked = desk.do("POST", "/keys", of)
        desk.do("POST", f"/keys/{revoked['id']}/revoke")
        found[f"a revoked {kind} key"] = revoked["key"]
        ends = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        found[f"an expired {kind} key"] = desk.do("POST", "/keys", {**of, "expires_at": ends})["key"]
    other_mode = "_test_" if "_live_" in made.key else "_live_"
    found["a key rewritten to the other mode"] = resigned(re.sub("_(test|live)_", other_mode, made.key))
    tag = stranger.key.split("_")[3]
    found["a key rewritten to another tenant"] = resigned(made.key.replace(made.key.split("_")[3], tag))
    found["a customer key that says it is a server key"] = resigned(made.key.replace("fbx_ck", "fbx_sk"))
    found["an API key that says it is a server key"] = resigned(desk.api_key.replace("fbx_ak", "fbx_sk"))
    return found


def resigned(key: str) -> str:
    """A forged key with a check that matches."""
    return key[:-6] + _check_of(key[:-6])


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_key_reaches_nothing_on_any_route(
    stack: Stack, desks: Desks, customers: dict[str, Made], name: str
) -> None:
    desk, made = desks[name], customers[name]
    strangers = [customers[other] for other in NAMES if other.split("-")[0] != name.split("-")[0]]
    keys = bad_keys(desk, made, strangers[0])
    named = {"Farebox-Customer": made.external_id}
    # The last of them ends last.
    expiring = [key for what, key in keys.items() if "expired" in what][-1]
    wait_for(lambda: "key_expired" in call_route(desk, expiring, ROUTES[0], **named).text, "expired", 10)
    broken = []
    with reaching(stack) as reached:
        for what, key in keys.items():
            for route in ROUTES:
                answer = call_route(desk, key, route, **named)
                served = answer.status_code not in {401, 404}
                if served or (answer.status_code == 404 and "unsupported_route" not in answer.text):
                    broken.append(f"{what} on {route}: {answer.status_code} {answer.text[:200]}")
    assert broken == []
    assert reached.calls == {}


def test_a_server_key_that_names_anothers_customer_makes_its_own(stack: Stack, desks: Desks) -> None:
    acme, globex = desks["acme-test"], desks["globex-test"]
    theirs = globex.customer("5.00", external_id=fresh("theirs"))
    named = {"Farebox-Customer": theirs.external_id}
    secret = acme.do("POST", "/keys", {"kind": "server"})["key"]
    assert code_of(acme.chat(secret, headers=named)) == (403, "customer_unknown")
    acme.do(
        "PATCH", "/settings", {"default_budget": {"limit_usd": "3.00"}, "unknown_customer": "default_budget"}
    )
    try:
        with reaching(stack) as reached:
            assert acme.chat(secret, headers=named).status_code == 200
    finally:
        acme.do("PATCH", "/settings", {"default_budget": None})
    assert reached.calls == {"acme-test": 1}
    path = f"/customers/by-external-id/{theirs.external_id}"
    wait_for(lambda: acme.ask("GET", path).status_code == 200, "Acme's own customer")
    assert acme.do("GET", path)["id"] != theirs.id
    stack.wait_until_quiet()
    assert stack.rows("customer_id = %s", theirs.id) == []
    assert globex.do("GET", f"/budgets/{theirs.budget_id}")["spent_usd"] == "0.00"
    assert acme.ask("GET", f"/customers/{theirs.id}").status_code == 404
    for desk in (desks["acme-live"], desks["globex-live"]):
        assert desk.ask("GET", path).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_a_call_touches_only_its_own_tenants_keys_of_its_own_mode(
    stack: Stack, desks: Desks, customers: dict[str, Made], name: str
) -> None:
    desk, made = desks[name], customers[name]
    tenant_id = f"ten_{made.key.split('_')[3]}"
    mode = name.partition("-")[2]
    with commands_of(stack, "proxy1") as commands:
        assert desk.chat(made.key, headers={"Idempotency-Key": fresh("touch")}).status_code == 200
    # Renewals and the look at readiness belong to nobody's call.
    touched = {word for command in commands for word in keys_in(command)}
    shard, own = f"{{s{shard_of(tenant_id)}}}:", f"{{s{shard_of(tenant_id)}}}:{tenant_id}:{mode}:"
    assert [key for key in touched if not key.startswith(shard)] == []
    assert [key for key in touched if "ten_" in key and not key.startswith(own)] == []
    assert any(key.startswith(f"{own}budget:{made.budget_id}") for key in touched)
    assert any(key.startswith(f"{own}idem:") for key in touched)


def keys_in(command: str) -> list[str]:
    """The keys that a command names: all of a script's, or whatever has a shard's tag."""
    return re.findall(r"\{s\d+\}:[\w:]+", command)


@contextmanager
def commands_of(stack: Stack, process: str) -> Iterator[list[str]]:
    """Collect every command that a process sends to Redis during a block."""
    children = psutil.Process(stack.processes[process].handle.pid)
    ports = {
        str(each.laddr.port)
        for each in children.net_connections("tcp")
        if each.status == psutil.CONN_ESTABLISHED
    }
    found: list[str] = []
    end = fresh("end-of-block")
    with stack.redis() as client, stack.redis() as other, client.monitor() as monitor:

        def listen() -> None:
            for line in monitor.listen():
                heard: Any = line
                if end in heard["command"]:
                    return
                if heard["client_port"] in ports:
                    found.append(heard["command"])

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield found
        other.execute_command("ECHO", end)
        listener.join(10)
        assert not listener.is_alive()
