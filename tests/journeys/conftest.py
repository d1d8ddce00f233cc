"""One stack for all journeys: two proxies, four providers that each know one tenant in one mode, two tenants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.journeys.desk import Desk, make_api_key, signed_in
from tests.stack import Stack, running_stack

# Each with the one credential it takes; Acme's test account leads to "simulator".
SIMULATORS = {
    "acme-live": "sk-sim-acme-live-0001",
    "globex-test": "sk-sim-globex-test-0002",
    "globex-live": "sk-sim-globex-live-0003",
}
BODY_BYTES_MAX = 500_000


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack; tests share it, so each makes its own customers and puts back what it changes for all."""
    environment = {"FAREBOX_BODY_BYTES_MAX": str(BODY_BYTES_MAX)}
    with running_stack(proxies=2, simulators=SIMULATORS, environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[httpx.Client]:
    """The connections of all desks."""
    with httpx.Client(timeout=60.0) as made:
        yield made


@pytest.fixture(scope="session")
def acme(stack: Stack, client: httpx.Client) -> Desk:
    """Acme in test mode: its provider is the simulator."""
    return Desk(stack, stack.tenant["api_key"], client)


@pytest.fixture(scope="session")
def make_desk(stack: Stack, client: httpx.Client) -> Callable[[str], Desk]:
    """Make a tenant with nothing but its API key."""

    def make(name: str) -> Desk:
        email = f"owner@{name.lower()}.example"
        made = json.loads(stack.manage("bootstrap", "--tenant", name, "--email", email, "--json"))
        return Desk(stack, made["api_key"], client)

    return make


@pytest.fixture(scope="session")
def desks(stack: Stack, acme: Desk, client: httpx.Client) -> dict[str, Desk]:
    """Acme and Globex in test and in live, each with a provider and prices of its own."""
    globex = json.loads(
        stack.manage("bootstrap", "--tenant", "Globex", "--email", "gil@globex.example", "--json")
    )
    with signed_in(stack, stack.tenant, "ada@acme.example") as ada:
        acme_live = make_api_key(ada, "acme", "live")
    with signed_in(stack, globex, "gil@globex.example") as gil:
        globex_live = make_api_key(gil, "globex", "live")
    made = {
        "acme-test": acme,
        "acme-live": Desk(stack, acme_live, client),
        "globex-test": Desk(stack, globex["api_key"], client),
        "globex-live": Desk(stack, globex_live, client),
    }
    for place, (name, credential) in enumerate(SIMULATORS.items(), start=2):
        made[name].account(name, f"{stack.address(name)}/v1", credential, default=True)
        made[name].price(input_usd=f"{place}.00", output_usd=f"{place}0.00")
    return made
